// Putting text on the page. All of it comes from models and programs: it is only ever set as text, and what
// could hide, move or reorder it is spelled out.

const HIDDEN = new RegExp(
  '[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f' + // controls without tab and newline
  '\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e' +
  '\\u2060-\\u206f\\u3164\\ufe00-\\ufe0e\\ufeff\\uffa0\\ufff9-\\ufffb' + // bidi, unseen
  '\\ud800-\\udfff\\u{e0000}-\\u{e0fff}]' + // lone surrogates, tags
  // Joiners, but not where emoji and the scripts of Asia need them.
  '|(?<![\\u0620-\\u0dff\\u2190-\\u27bf\\ufe0f\\u{1f000}-\\u{1faff}])[\\u200c\\u200d]', 'gu');

const CONTROLS = ('NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB '
  + 'ESC FS GS RS US').split(' '); // their names in ASCII; few fonts have the pictures of them

function spelled(character) {
  const code = character.codePointAt(0);
  return CONTROLS[code] ?? 'U+' + code.toString(16).toUpperCase().padStart(4, '0');
}

/** One line of text for places where a mark of its own is not possible. */
function visible(text) {
  return text.replace(HIDDEN, spelled);
}

/** An element with a class and children; strings among them become text. */
function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  for (const child of children) {
    if (typeof child === 'string') putText(element, child);
    else if (child) element.append(child);
  }
  return element;
}

function button(label, className, act) {
  const element = make('button', className, label);
  element.type = 'button';
  element.addEventListener('click', act);
  return element;
}

/** Appends text; hidden characters become marked pictures of themselves. */
function putText(parent, text) {
  let end = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (match.index > end) parent.append(text.slice(end, match.index));
    const mark = document.createElement('span');
    mark.className = 'ghost';
    mark.textContent = spelled(match[0]);
    mark.title = 'U+' + match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
    parent.append(mark);
    end = match.index + match[0].length;
  }
  if (end < text.length) parent.append(end ? text.slice(end) : text);
}

const STEP = 400_000; // characters a click on "show" adds: more would hold the page up

/** Appends text in an element that shows `limit` ({lines, characters}) of it, with a button for the rest. */
function putLong(parent, text, className, limit, put = putText) {
  const box = make('div', className);
  box.dir = 'auto';
  parent.append(box);
  const hit = foundAt(text);
  let shown = cutAt(text, limit);
  if (hit >= shown && hit < STEP) shown = safeEnd(text, hit + 400);
  put(box, text.slice(0, shown));
  if (shown >= text.length) return;
  const more = button('', 'more', () => {
    const end = text.length - shown > STEP * 2 ? safeEnd(text, shown + STEP) : text.length;
    put(box, text.slice(shown, end));
    shown = end;
    label();
  });
  const label = () => {
    const rest = text.length - shown;
    if (!rest) more.remove();
    const what = rest > STEP * 2 ? `Show ${counted(STEP)} more of` : 'Show all';
    more.textContent = `${what} ${counted(text.length, 'character')}, ${counted(lineCount(text), 'line')}`;
  };
  label();
  box.after(more);
}

/** How much of the text fits the limit. A little over it is shown whole: a button would take more room. */
function cutAt(text, { lines, characters }) {
  let end = -1;
  for (let line = 0; line < lines; line++) {
    end = text.indexOf('\n', end + 1);
    if (end < 0) break;
  }
  const slack = 1.25;
  const rest = end < 0 ? '' : text.slice(end, end + 2000);
  if (end < 0 || (end + rest.length === text.length && rest.split('\n').length <= lines * (slack - 1) + 1)) {
    end = text.length;
  }
  if (end <= characters * slack) return end;
  return safeEnd(text, characters);
}

/** Never between the two halves of a character. */
function safeEnd(text, end) {
  const code = text.charCodeAt(end - 1);
  return code >= 0xd800 && code < 0xdc00 ? end + 1 : Math.min(end, text.length);
}

function lineCount(text) {
  let count = 1;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

function counted(number, noun) {
  const digits = number.toLocaleString('en');
  return noun ? `${digits} ${noun}${number === 1 ? '' : 's'}` : digits;
}

function sized(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(bytes < 1e4 ? 1 : 0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** 8140 → 8.1k: for the list, where the exact number does not matter. */
function rounded(number) {
  if (number < 1000) return String(number);
  return number < 1e6 ? `${(number / 1e3).toFixed(number < 1e4 ? 1 : 0)}k` : `${(number / 1e6).toFixed(1)}M`;
}

function dollars(cost) {
  return '$' + (cost && cost < 0.01 ? cost.toPrecision(2) : cost.toFixed(2));
}
