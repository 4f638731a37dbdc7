// A session file as turns. Unlike a training row it also shows what does not count any more: text that was
// superseded, entries that were rolled back, and what happened between the turns.

function sessionTurns(records, system) {
  const turns = system ? [newTurn(0, 'system', { text: asText(system) })] : [];
  const calls = new Map();
  let entry = -1;
  const add = (role, record, more) => {
    const turn = newTurn(turns.length, role, { ...more, entry });
    turn.facts.when = asText(record.ts);
    turns.push(turn);
    return turn;
  };
  for (const record of records.filter(isObject)) {
    // Records of old files have no number: an entry begins with each message that is no result.
    if (record.type === 'user' || record.type === 'assistant') entry = Number.isInteger(record.entry) ? record.entry : entry + 1;
    switch (record.type) {
      case 'user': {
        const notice = record.origin && record.origin !== 'person';
        add(notice ? 'note' : 'human', record, { text: asText(record.content), name: notice ? asText(record.origin) : '' });
        break;
      }
      case 'assistant':
        addAnswer(add, record, calls);
        break;
      case 'tool':
        addResult(add, record, calls);
        break;
      case 'superseded':
        add('gpt', record, {
          text: asText(record.text), reasoning: asText(record.reasoning), gone: `superseded: ${asText(record.reason)}`,
        });
        break;
      case 'rollback':
        for (const turn of turns) if (turn.entry >= amount(record.keep)) turn.gone ||= `rolled back: ${asText(record.reason)}`;
        entry = amount(record.keep) - 1;
        add('note', record, { name: 'roll-back', text: asText(record.reason) });
        break;
      default: {
        const said = eventText(record);
        if (said) add('note', record, { name: record.type === 'turn' ? 'end of turn' : asText(record.type), text: said });
      }
    }
  }
  return turns;
}

function addAnswer(add, record, calls) {
  const turn = add('gpt', record, {
    text: asText(record.content), reasoning: asText(record.reasoning), calls: listedCalls(record.tool_calls),
  });
  for (const call of turn.calls) calls.set(call.id, call);
  if (record.flawed) turn.flags.push(`flawed: ${asText(record.flawed)}`);
  if (record.interrupted) turn.flags.push('interrupted');
  if (record.finish_reason === 'length') turn.flags.push('cut off');
  Object.assign(turn.facts, { usage: record.usage, seconds: record.seconds, model: asText(record.model) });
  if (isObject(record.tokens)) turn.facts.ids = Array.isArray(record.tokens.answer) ? record.tokens.answer.length : 0;
}

function addResult(add, record, calls) {
  const result = newResult(asText(record.content), {
    name: asText(record.name), id: asText(record.call_id), status: asText(record.status), approval: asText(record.approval),
    seconds: record.seconds,
  });
  const call = calls.get(result.id);
  if (call && !call.result) call.result = result;
  else add('tool', record, { results: [result] });
}

/** What happened between the turns, in a line. */
function eventText(record) {
  switch (record.type) {
    case 'compaction':
      return `Entries ${amount(record.start)} to ${amount(record.end) - 1} are sent as a summary from here on`
        + ` (${counted(amount(record.before))} → ${counted(amount(record.after))} tokens):\n\n${asText(record.text)}`;
    case 'change':
      return `The ${asText(record.what)} became ${asText(record.value) || 'none'}.`;
    case 'title':
      return `The title became “${asText(record.title)}”.`;
    case 'git':
      return `Commit ${asText(record.commit)}${record.dirty ? ', with uncommitted changes' : ''}`;
    case 'turn': {
      const parts = [asText(record.outcome), asText(record.reason)].filter(Boolean);
      if (amount(record.requests)) parts.push(counted(record.requests, 'request'));
      if (amount(record.seconds)) parts.push(`${record.seconds.toFixed(1)} s`);
      return parts.join(' · ');
    }
    default:
      return prettyJson(record);
  }
}
