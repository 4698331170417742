/**
 * GraphiQL 3 nests its close buttons in tabs and leaves CodeMirror's text areas unnamed.
 * Both break assistive technology, so its markup is mended whenever it changes.
 */
export function keepAccessible(root: HTMLElement): void {
  let scheduled = false;
  const mend = () => {
    scheduled = false;
    mendTabs(root);
    mendEditors(root);
  };
  const schedule = () => {
    if (!scheduled) requestAnimationFrame(mend);
    scheduled = true;
  };
  new MutationObserver(schedule).observe(root, {
    subtree: true,
    childList: true,
    attributeFilter: ['role', 'aria-selected'],
  });
}

const EDITORS: [selector: string, name: string][] = [
  ['.graphiql-query-editor .CodeMirror', '操作 · Operation'],
  ['.graphiql-editor-tool .graphiql-editor:nth-child(1) .CodeMirror', '变量 · Variables'],
  ['.graphiql-editor-tool .graphiql-editor:nth-child(2) .CodeMirror', '请求头 · Headers'],
  ['.result-window .CodeMirror', '结果 · Response'],
];

/** A tab holds two buttons, so the tabs are a group of buttons whose current one is marked. */
function mendTabs(root: HTMLElement): void {
  root.querySelector('.graphiql-tabs')?.setAttribute('role', 'group');
  for (const item of root.querySelectorAll('.graphiql-tab')) {
    item.setAttribute('role', 'presentation');
    item.removeAttribute('aria-selected');
    const current = item.classList.contains('graphiql-tab-active');
    item.querySelector('.graphiql-tab-button')?.setAttribute('aria-current', String(current));
  }
  root.querySelector('[role="tabpanel"]')?.setAttribute('role', 'group');
}

function mendEditors(root: HTMLElement): void {
  for (const [selector, name] of EDITORS) {
    const editor = root.querySelector(selector);
    editor?.querySelector('textarea')?.setAttribute('aria-label', name);
    editor?.querySelector('.CodeMirror-scroll')?.setAttribute('tabindex', '0');
  }
}
