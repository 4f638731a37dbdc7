// Fails if the document is another than the one the model saw; else notes from now on whether it changes, and when it
// begins to leave.
(() => {
  // A page may have put words of its own in place of all but this one.
  if (location.origin !== __ORIGIN__) throw 0;
  if (String(performance.timeOrigin) !== __DOCUMENT__) throw new Error("another document");
  if (window.__leaving === undefined) {
    addEventListener("beforeunload", () => { window.__leaving = performance.now(); });
    addEventListener("pageshow", () => { window.__leaving = 0; });
    new MutationObserver((records) => { window.__changes += records.length; })
      .observe(document, {subtree: true, childList: true, characterData: true});
  }
  window.__leaving = window.__changes = 0;
  __DIALOGS__
  return true;
})()
