// Waits until the page is loaded and quiet, or on its way to another: at most LIMIT milliseconds. Says where that is.
new Promise((done) => {
  const QUIET = 200, BUSY = 1500, LIMIT = __LIMIT__, LEAVING = __LEAVING__;
  let quiet;
  const began = performance.now();
  // A page may move for ever once it is there; one that is not there yet is given longer.
  const late = () => performance.now() - began > (document.readyState === "complete" ? BUSY : LIMIT);
  const leaving = () => LEAVING > 0 && window.__leaving > 0 && performance.now() - window.__leaving < LEAVING;
  const tell = (settled) => {
    watcher.disconnect();
    clearTimeout(quiet);
    done({
      title: document.title.slice(0, 300), document: String(performance.timeOrigin),
      settled, leaving: LEAVING > 0 && window.__leaving > 0, top: Math.round(scrollY), view: innerHeight,
      changes: window.__changes || 0, height: document.documentElement ? document.documentElement.scrollHeight : 0,
    });
  };
  const look = () => {
    if (!leaving() && document.readyState === "complete") tell(true);
    else if (!leaving() && late()) tell(false);
    else quiet = setTimeout(look, QUIET);
  };
  const again = () => {
    clearTimeout(quiet);
    if (late() && !leaving()) tell(document.readyState === "complete");
    else quiet = setTimeout(look, QUIET);
  };
  const watcher = new MutationObserver(again);
  watcher.observe(document, {subtree: true, childList: true, characterData: true});
  again();
})
