// Rows as turns, whatever their layout: {index, role, text, reasoning, calls, results, flags, facts, gone}.
// A call has {name, arguments, id, result}; `results` are those whose call is not in the row. `gone` says why a
// turn does not count ("rolled back").

const ROLES = {
  __proto__: null, // a role called "constructor" is nobody we know
  system: 'system', developer: 'system', human: 'human', user: 'human', gpt: 'gpt', assistant: 'gpt', model: 'gpt',
  agent: 'gpt', function_call: 'gpt', tool_call: 'gpt', tool: 'tool', observation: 'tool', function: 'tool',
  tool_response: 'tool', function_response: 'tool', ipython: 'tool',
};

function newTurn(index, role, more) {
  return { index, role, text: '', reasoning: '', calls: [], results: [], flags: [], facts: {}, gone: '', ...more };
}

/** The turns of a row, none where it is no conversation. A row that nobody thought of must not end the page. */
function readTurns(row) {
  try {
    return turnsOf(row);
  } catch (error) {
    console.error('this row cannot be read as a conversation:', error);
    return [];
  }
}

function turnsOf(row) {
  if (!isObject(row)) return [];
  if (isObject(row.session) && Array.isArray(row.records)) return sessionTurns(row.records, row.session.system);
  let turns = [];
  if (Array.isArray(row.conversations)) turns = row.conversations.map(taggedTurn);
  else if (Array.isArray(row.messages)) turns = row.messages.map(messageTurn);
  else if (Array.isArray(row.steps)) turns = row.steps.flatMap(stepTurns);
  else if (row.prompt !== undefined || row.completion !== undefined) turns = promptTurns(row);
  turns = turns.filter(Boolean);
  const byIndex = new Map(turns.map((turn) => [turn.index, turn]));
  for (const flag of Array.isArray(row.flags) ? row.flags : []) {
    if (isObject(flag)) byIndex.get(flag.turn)?.flags.push(asText(flag.flag));
  }
  return paired(turns);
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !JSON.isRawJSON?.(value);
}

/** A number out of a row, 0 where there is none. */
function amount(value) {
  return Number.isFinite(value) ? value : 0;
}

function asText(content) {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return '';
  if (Array.isArray(content) && content.length && content.every(isObject)) {
    return content.map((part) => (typeof part.text === 'string' ? part.text : `[${asText(part.type) || 'part'}]`)).join('\n');
  }
  return prettyJson(content);
}

function prettyJson(value) {
  try {
    return JSON.stringify(value, null, 2) ?? '';
  } catch (error) {
    return `[cannot be shown: ${error.message}]`;
  }
}

/** The text without its <tag>…</tag> blocks, and what is inside them. A block that is not closed stays text. */
function blocksOf(text, tag) {
  const inside = [];
  let rest = '';
  let position = 0;
  for (;;) {
    const start = text.indexOf(`<${tag}>`, position);
    const end = start < 0 ? -1 : text.indexOf(`</${tag}>`, start);
    if (end < 0) return [inside.length ? rest + text.slice(position) : text, inside];
    rest += text.slice(position, start);
    inside.push(text.slice(start + tag.length + 2, end));
    position = end + tag.length + 3;
  }
}

function taggedTurn(turn, index) {
  if (!isObject(turn)) return newTurn(index, 'other', { text: asText(turn) });
  const name = asText(turn.from ?? turn.role);
  const role = ROLES[name] ?? 'other';
  const text = asText(turn.value ?? turn.content);
  if (name === 'function_call' || name === 'tool_call') return newTurn(index, role, { calls: [writtenCall(text)] });
  if (role === 'gpt') return answer(index, text, '', []);
  if (role === 'tool') {
    const responses = blocksOf(text, 'tool_response')[1];
    return newTurn(index, role, { results: responses.length ? responses.map(writtenResult) : [newResult(text)] });
  }
  return newTurn(index, role, { text, name });
}

function messageTurn(message, index) {
  if (!isObject(message) || !('role' in message)) return taggedTurn(message, index);
  const name = asText(message.role);
  const role = ROLES[name] ?? 'other';
  const text = asText(message.content);
  if (name === 'tool_call') return newTurn(index, role, { calls: [writtenCall(text)] });
  if (role === 'tool') {
    return newTurn(index, role, {
      results: [newResult(text, { name: asText(message.name), id: asText(message.tool_call_id) })],
    });
  }
  if (role === 'gpt') {
    const reasoning = [message.reasoning_content, message.reasoning, message.thinking].find((each) => each);
    const turn = answer(index, text, asText(reasoning), listedCalls(message.tool_calls));
    if (isObject(message.usage)) turn.facts.usage = message.usage;
    return turn;
  }
  return newTurn(index, role, { text, name });
}

/** Rows for `prompt` and `completion`, each a text or a list of messages. */
function promptTurns(row) {
  const said = [];
  for (const [key, role] of [['prompt', 'user'], ['completion', 'assistant']]) {
    if (Array.isArray(row[key])) said.push(...row[key]);
    else if (row[key] !== undefined) said.push({ role, content: row[key] });
  }
  return said.map(messageTurn);
}

/** A step of an ATIF trajectory. */
function stepTurns(step, index) {
  if (!isObject(step)) return [newTurn(index, 'other', { text: asText(step) })];
  const role = ROLES[asText(step.source)] ?? 'other';
  const text = asText(step.message);
  const turn = role === 'gpt'
    ? answer(index, text, asText(step.reasoning_content), listedCalls(step.tool_calls))
    : newTurn(index, role, { text });
  if (isObject(step.metrics)) turn.facts.usage = step.metrics;
  turn.facts.when = asText(step.timestamp);
  const listed = step.observation?.results;
  const results = (Array.isArray(listed) ? listed : []).filter(isObject)
    .map((each) => newResult(asText(each.content), { id: asText(each.source_call_id) }));
  return results.length ? [turn, newTurn(index, 'tool', { results })] : [turn];
}

/** Reasoning and calls that stand in the text as blocks are taken out of it. */
function answer(index, text, reasoning, calls) {
  if (text.includes('<think>')) {
    const [rest, thoughts] = blocksOf(text, 'think');
    text = rest;
    reasoning ||= thoughts.map((each) => each.trim()).filter(Boolean).join('\n\n');
  }
  if (text.includes('<tool_call>')) {
    const [rest, written] = blocksOf(text, 'tool_call');
    text = rest;
    if (!calls.length) calls = written.map(writtenCall);
  }
  return newTurn(index, 'gpt', { text: text.trim(), reasoning, calls });
}

function listedCalls(listed) {
  return (Array.isArray(listed) ? listed : []).filter(isObject).map((call) => {
    const inner = isObject(call.function) ? call.function : call;
    return {
      name: asText(inner.name ?? inner.function_name),
      arguments: inner.arguments,
      id: asText(call.id ?? call.tool_call_id),
    };
  });
}

function writtenCall(text) {
  const value = jsonOrNothing(text);
  if (!isObject(value) || typeof value.name !== 'string') return { name: '', arguments: text.trim(), id: '' };
  return { name: value.name, arguments: value.arguments ?? value.parameters, id: '' };
}

function newResult(content, more) {
  return { content, name: '', id: '', status: '', ...more };
}

function writtenResult(text) {
  const value = jsonOrNothing(text);
  if (!isObject(value) || value.content === undefined) return newResult(text.trim());
  return newResult(value.content, { name: asText(value.name), id: asText(value.tool_call_id) });
}

const NEAR = 50; // calls that wait for results among which one without an id is sought

/** Results go to their calls: by id, else by place. A turn that is left with none is dropped. */
function paired(turns) {
  const byId = new Map();
  let waiting = [];
  let first = 0;
  let owner = null;
  const byPlace = (result) => {
    while (waiting[first]?.result) first++;
    return waiting.slice(first, first + NEAR).find((call) => (
      !call.result && !(call.id && result.id) && (!result.name || call.name === result.name)));
  };
  for (const turn of turns) {
    if (turn.calls.length) {
      for (const call of turn.calls) {
        if (call.id) byId.set(call.id, call);
        waiting.push(call);
      }
      owner = turn;
    } else if (turn.role !== 'tool') {
      [waiting, first] = [[], 0];
    }
    turn.results = turn.results.filter((result) => {
      const named = byId.get(result.id);
      const call = named && !named.result ? named : byPlace(result);
      if (call) call.result = result;
      return !call;
    });
    if (turn.role === 'tool' && !turn.results.length && owner) {
      owner.flags.push(...turn.flags.map((flag) => `result: ${flag}`));
    }
  }
  return turns.filter((turn) => turn.role !== 'tool' || turn.results.length || turn.text);
}

/** Everything that was said in the row, for the search. */
function spokenText(turns) {
  const parts = [];
  for (const turn of turns) {
    parts.push(turn.reasoning, turn.text);
    for (const call of turn.calls) {
      parts.push(call.name, asText(call.arguments));
      if (call.result) parts.push(asText(call.result.content));
    }
    for (const result of turn.results) parts.push(asText(result.content));
  }
  return parts.join('\n');
}
