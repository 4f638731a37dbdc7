// Waits until the page is loaded and quiet, at most LIMIT milliseconds, and says where that is.
new Promise((done) => {
  const QUIET = 200, LIMIT = __LIMIT__, LEAVING = 8000;
  const began = performance.now();
  let quiet, last;
  const tell = (settled) => {
    watcher.disconnect();
    clearTimeout(quiet);
    clearTimeout(last);
    done({
      url: location.href, title: document.title.slice(0, 300), document: String(performance.timeOrigin),
      settled, leaving: Boolean(window.__leaving), top: Math.round(scrollY), view: innerHeight,
      height: document.documentElement ? document.documentElement.scrollHeight : 0,
    });
  };
  const look = () => {
    const gone = performance.now() - began;
    if (window.__leaving && gone < LEAVING) quiet = setTimeout(look, QUIET);
    else if (document.readyState === "complete") tell(true);
    else document.addEventListener("readystatechange", again, {once: true});
  };
  const again = () => {
    clearTimeout(quiet);
    quiet = setTimeout(look, QUIET);
  };
  const watcher = new MutationObserver(again);
  watcher.observe(document, {subtree: true, childList: true, characterData: true});
  last = setTimeout(() => (window.__leaving && LIMIT < LEAVING ? setTimeout(() => tell(false), LEAVING - LIMIT) : tell(false)), LIMIT);
  again();
})
