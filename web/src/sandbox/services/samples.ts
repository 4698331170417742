/** Pictures for whoever has none at hand. */

type Draw = (canvas: CanvasRenderingContext2D) => void;

/** A drawn head that the pre-review accepts. */
export async function samplePortrait(): Promise<File> {
  const drawn = await (await fetch('/sandbox/portrait.jpg')).blob();
  return new File([drawn], 'portrait.jpg', { type: 'image/jpeg' });
}

export const sampleIdDocument = (side: string): Promise<File> =>
  picture(`${side.toLowerCase()}.jpg`, 1284, 810, side === 'PORTRAIT_SIDE' ? drawPortraitSide : drawEmblemSide);

async function picture(name: string, width: number, height: number, draw: Draw): Promise<File> {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d')!;
  context.fillStyle = '#ffffff';
  context.fillRect(0, 0, width, height);
  draw(context);
  const blob = await new Promise<Blob>((resolve) => canvas.toBlob((made) => resolve(made!), 'image/jpeg', 0.92));
  return new File([blob], name, { type: 'image/jpeg' });
}

function drawPortraitSide(canvas: CanvasRenderingContext2D): void {
  cardBackground(canvas, '#e6eff6');
  lines(canvas, ['姓名  沙盒示例', '性别  男    民族  汉', '出生  1990 年 1 月 1 日', '住址  四川省成都市天府大道示例', '公民身份号码  仅供沙盒使用']);
  ellipse(canvas, 1040, 300, 120, 150, '#e0b593');
  ellipse(canvas, 1040, 560, 190, 130, '#40566f');
}

function drawEmblemSide(canvas: CanvasRenderingContext2D): void {
  cardBackground(canvas, '#f3eadd');
  ellipse(canvas, 220, 220, 110, 110, '#b8342c');
  lines(canvas, ['', '', '', '居民身份证 · 沙盒示例', '签发机关  成都市公安局示例分局', '有效期限  2020.01.01—2040.01.01']);
}

function cardBackground(canvas: CanvasRenderingContext2D, colour: string): void {
  canvas.fillStyle = colour;
  canvas.fillRect(24, 24, 1236, 762);
}

function lines(canvas: CanvasRenderingContext2D, texts: string[]): void {
  canvas.fillStyle = '#233042';
  canvas.font = '44px sans-serif';
  texts.forEach((text, index) => canvas.fillText(text, 90, 140 + index * 120));
}

function ellipse(canvas: CanvasRenderingContext2D, x: number, y: number, rx: number, ry: number, colour: string): void {
  canvas.fillStyle = colour;
  canvas.beginPath();
  canvas.ellipse(x, y, rx, ry, 0, 0, Math.PI * 2);
  canvas.fill();
}
