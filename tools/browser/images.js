// The pictures of the page, each address once, the largest first.
(() => {
  const seen = new Map();
  for (const each of document.images) {
    const src = each.currentSrc || each.src;
    if (src && !seen.has(src)) {
      seen.set(src, {src, alt: each.alt, width: each.naturalWidth, height: each.naturalHeight});
    }
  }
  const all = [...seen.values()].sort((a, b) => b.width * b.height - a.width * a.height);
  const shown = all.slice(0, 40).map((each) => ({
    ...each, alt: each.alt.slice(0, 200),
    src: each.src.startsWith("http") ? each.src.slice(0, 2000) : each.src.slice(0, 40) + "…",
  }));
  return {total: all.length, images: shown};
})()
