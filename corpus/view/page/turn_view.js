// A turn of a conversation as it stands on the page.

const MOST = 200; // calls and results of one turn that are shown; the raw row has all of them
const WHO = { system: 'System', human: 'Person', gpt: 'Model', tool: 'Result', note: '', other: 'Other' };

function turnView(turn, place, row) {
  const name = turn.name && turn.name !== turn.role && !ROLES[turn.name] ? turn.name : '';
  const who = [WHO[turn.role], name].filter(Boolean).join(' · ');
  const link = make('a', 'number', String(turn.index));
  link.href = `#row=${row.number}&turn=${place}`;
  link.title = 'Link to this turn';
  const side = make('header', 'side', make('h2', 'who', who), link);
  for (const flag of turn.flags.slice(0, MOST)) side.append(make('span', 'flag', visible(flag)));
  for (const fact of turnFacts(turn)) side.append(make('span', 'fact', fact));
  if (turn.facts.when) side.append(timeView(visible(turn.facts.when)));
  const body = make('div', 'said');
  const section = make('section', `turn ${turn.role}${turn.gone ? ' gone' : ''}`, side, body);
  section.id = `turn-${place}`;
  section.tabIndex = -1;
  if (turn.gone) body.append(make('p', 'why-gone', `Does not count: ${turn.gone}`));
  putSaid(body, turn);
  return section;
}

function putSaid(body, turn) {
  if (turn.reasoning) {
    const { reasoning } = turn;
    body.append(fold('reasoning', 'Reasoning', firstWords(reasoning), foundAt(reasoning) >= 0,
      (inside) => putProse(inside, reasoning)));
  }
  if (turn.role === 'system' && turn.text.length > 300) {
    const { text } = turn;
    body.append(fold('system-text', counted(text.length, 'character'), firstWords(text), foundAt(text) >= 0,
      (inside) => putLong(inside, text, 'code', VALUE_LIMIT)));
  } else if (turn.text) {
    putProse(body, turn.text);
  } else if (!turn.calls.length && !turn.results.length && !turn.reasoning) {
    body.append(make('p', 'nothing', 'nothing was said'));
  }
  for (const call of turn.calls.slice(0, MOST)) body.append(callView(call));
  if (turn.calls.length > MOST) body.append(make('p', 'nothing', `and ${counted(turn.calls.length - MOST)} more calls`));
  for (const result of turn.results.slice(0, MOST)) {
    body.append(make('div', 'call orphan', resultView(result, `${result.name || 'result'} (no call for it)`)));
  }
}

function turnFacts(turn) {
  const { usage, seconds, model, ids } = turn.facts;
  const facts = [];
  if (isObject(usage)) {
    const prompt = amount(usage.prompt_tokens);
    const answer = amount(usage.completion_tokens);
    if (prompt + answer > 0) {
      facts.push(`${counted(prompt)} → ${counted(answer)} tok`);
    }
  }
  const cost = isObject(usage) ? usage.cost ?? usage.cost_usd : null;
  const spent = [Number.isFinite(cost) ? dollars(cost) : '', amount(seconds) ? `${seconds.toFixed(1)} s` : ''];
  if (spent.some(Boolean)) facts.push(spent.filter(Boolean).join(' · '));
  if (ids) facts.push(counted(ids, 'token id'));
  if (model) facts.push(visible(model));
  return facts;
}

/** The time of day; the date stands above the conversation, and here when one points at it. */
function timeView(when) {
  const view = make('time', 'fact', /T(\d\d:\d\d:\d\d)/.exec(when)?.[1] ?? when.slice(0, 30));
  view.title = when;
  return view;
}

function callView(call) {
  const given = call.arguments === undefined || call.arguments === null || call.arguments === ''
    || (typeof call.arguments === 'string' && call.arguments.trim() === '{}');
  const view = make('div', 'call', make('div', 'call-head', make('code', 'tool-name', call.name || '(no name)'),
    call.id ? make('code', 'call-id', visible(call.id).slice(0, 60)) : null));
  if (given) view.append(make('p', 'nothing', 'no arguments'));
  else putValue(view, call.arguments);
  if (call.result) view.append(resultView(call.result, 'Result'));
  else view.append(make('p', 'nothing', 'no result in this row'));
  return view;
}

function resultView(result, label) {
  const text = asText(result.content);
  const status = result.status && result.status !== 'ok' ? result.status : seemsFailed(result.content) ? 'error' : '';
  const hint = [
    status, result.approval ? `approval: ${result.approval}` : '',
    amount(result.seconds) ? `${result.seconds.toFixed(1)} s` : '', sizeOf(text),
  ].filter(Boolean).map(visible);
  const element = fold(`result${status ? ' failed' : ''}`, label, hint.join(' · '), true,
    (inside) => (text ? putValue(inside, result.content) : inside.append(make('p', 'nothing', 'empty'))));
  return element;
}

/** A result that says itself that it failed; the exit code of a command is no failure of the tool. */
function seemsFailed(content) {
  const value = typeof content === 'string' && content.length < 1e6 && /^\s*\{/.test(content)
    ? jsonOrNothing(content) : content;
  return isObject(value) && (!['', undefined, null, false].includes(value.error) || value.success === false);
}

function sizeOf(text) {
  const lines = lineCount(text);
  return lines > 3 ? counted(lines, 'line') : counted(text.length, 'character');
}
