// Fails if the document is another than the one the model saw; else notes when the page begins to leave.
(() => {
  if (String(performance.timeOrigin) !== __DOCUMENT__) throw new Error("another document");
  if (window.__leaving === undefined) {
    addEventListener("beforeunload", () => { window.__leaving = performance.now(); });
    addEventListener("pageshow", () => { window.__leaving = 0; });
  }
  window.__leaving = 0;
  __DIALOGS__
  return true;
})()
