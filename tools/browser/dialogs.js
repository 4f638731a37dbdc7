// Run in each document: a dialog would hold the page, and every step after it, until somebody answers.
(() => {
  if (window.__told) return;
  const tell = window.__told = (kind, text) => {
    console.info(`[dialog] ${kind}: ${String(text ?? "").slice(0, 500)}`);
  };
  window.alert = (text) => tell("alert", text);
  window.confirm = (text) => (tell("confirm, answered Cancel", text), false);
  window.prompt = (text) => (tell("prompt, answered Cancel", text), null);
  window.print = () => tell("print", "");
})();
