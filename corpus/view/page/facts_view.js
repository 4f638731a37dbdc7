// What stands above a conversation: its title, and the facts of its row.

const SPOKEN = ['conversations', 'messages', 'steps', 'records', 'session', 'facts', 'prompt', 'completion', 'tools',
  'title', 'flags'];

function factsView(entry, row, files, turns) {
  const heading = make('h1', '', entry.title || `Row ${entry.number}`);
  heading.dir = 'auto';
  const link = make('a', 'number', `#${entry.number}`);
  link.href = `#row=${entry.number}`;
  link.title = 'Link to this row';
  const line = isObject(row?.session) ? '' : `line ${counted(entry.line)}`;
  const place = [files.length > 1 ? files[entry.file] : '', line, sized(entry.size)].filter(Boolean).join(', ');
  const chips = make('p', 'chips', link);
  if (entry.outcome) chips.append(make('span', `chip outcome ${outcomeClass(entry.outcome)}`, entry.outcome));
  for (const flag of entry.flags) chips.append(make('span', 'chip flagged', flag));
  for (const text of [entry.model, counted(entry.turns, 'turn'), ...usageChips(entry, row), place]) {
    if (text) chips.append(make('span', 'chip', text));
  }
  const view = make('header', 'facts', heading, chips);
  if (turns.length) view.append(allFacts(row));
  const tools = toolsOf(row);
  if (tools.length) view.append(toolsView(tools));
  return view;
}

/** Green is for what ended well, red for what did not; a word nobody knows gets neither. */
function outcomeClass(outcome) {
  if (['done', 'recorded', 'completed'].includes(outcome)) return 'good';
  return ['failed', 'unavailable', 'discarded', 'error'].includes(outcome) ? 'bad' : 'mixed';
}

function usageChips(entry, row) {
  const facts = isObject(row?.facts) ? row.facts : row;
  const chips = [];
  if (entry.tokens >= 0) chips.push(`${counted(entry.tokens)} tokens`);
  if (entry.cost !== null) chips.push(dollars(entry.cost));
  if (amount(facts?.seconds)) chips.push(`${facts.seconds.toFixed(1)} s`);
  if (entry.when) chips.push(entry.when.slice(0, 16).replace('T', ' '));
  return chips;
}

function allFacts(row) {
  const source = isObject(row?.session) ? { ...row.session, system: undefined, ...row.facts } : row;
  const parts = Object.entries(isObject(source) ? source : {})
    .filter(([key, value]) => !SPOKEN.includes(key) && value !== undefined && value !== '' && value !== null);
  const hint = parts.slice(0, MOST).map(([key]) => key).join(', ');
  return fold('all-facts', 'Facts', firstWords(hint, 90), false, (inside) => putParts(inside, parts));
}

/** The tool definitions of a row, also where they are JSON text. */
function toolsOf(row) {
  let tools = row?.tools ?? row?.session?.tools;
  if (typeof tools === 'string') tools = jsonOrNothing(tools);
  return Array.isArray(tools) ? tools.filter(isObject) : [];
}

function toolsView(tools) {
  const named = tools.map((tool) => [asText(tool.function?.name ?? tool.name) || '(no name)', tool]);
  const hint = firstWords(named.slice(0, MOST).map(([name]) => name).join(', '), 90);
  return fold('tools', counted(tools.length, 'tool'), hint, false, (inside) => {
    for (const [name, tool] of named.slice(0, MOST)) {
      const told = asText(tool.function?.description ?? tool.description);
      inside.append(fold('definition', name, firstWords(told, 90), false,
        (body) => putLong(body, prettyJson(tool), 'code', PROSE_LIMIT)));
    }
  });
}
