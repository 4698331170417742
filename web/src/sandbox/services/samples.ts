/** Pictures for whoever has none at hand: a drawn head and drawn cards that the pre-review accepts. */

export const samplePortrait = (): Promise<File> => drawn('/sandbox/portrait.jpg', 'portrait.jpg');

export const sampleIdDocument = (persona: string, side: string): Promise<File> =>
  drawn(`/sandbox/id-cards/${persona}/${side}.jpg`, `${side.toLowerCase()}.jpg`);

async function drawn(path: string, name: string): Promise<File> {
  const picture = await (await fetch(path)).blob();
  return new File([picture], name, { type: 'image/jpeg' });
}
