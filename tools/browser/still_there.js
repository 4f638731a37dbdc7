// Fails if the document is another than the one the model saw; else notes whether a step makes the page leave.
(() => {
  if (String(performance.timeOrigin) !== __DOCUMENT__) throw new Error("another document");
  window.__leaving = false;
  addEventListener("beforeunload", () => { window.__leaving = true; }, {once: true});
  return true;
})()
