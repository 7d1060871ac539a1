// valuesets.tsv: the codes of each value set that a code must be from.

import { codeSystems, compare, compareRows, valueSets, withoutVersion } from './package.mjs';

const OPEN = '*';

/** Rows for the value sets, and a line for each of their parts that cannot be expanded here. */
export function expand(urls) {
  const rows = [];
  const open = [];
  for (const url of [...new Set(urls)].sort(compare)) {
    const codes = [...members(url, [])].map((key) => [url, ...key.split('\t')]).sort(compareRows);
    open.push(...codes.filter((row) => row[2] === OPEN).map((row) => `${url} ${row[1] || '(any system)'}`));
    rows.push(...codes);
  }
  return { rows, open };
}

/** `system TAB code` of each member. */
function members(url, above) {
  const set = valueSets.get(withoutVersion(url));
  if (!set?.compose || above.includes(url)) return new Set([`\t${OPEN}`]);
  const all = new Set(set.compose.include.flatMap((include) => [...part(include, [...above, url])]));
  for (const exclude of set.compose.exclude ?? []) {
    for (const key of part(exclude, [...above, url])) all.delete(key);
  }
  return all;
}

/** An include or exclude: its codes, that are also in each of the value sets it names. */
function part(include, above) {
  const sets = (include.valueSet ?? []).map((url) => members(url, above));
  if (include.system) sets.push(new Set(codes(include).map((code) => `${include.system}\t${code}`)));
  return sets.reduce((a, b) => new Set([...a].filter((key) => b.has(key))));
}

function codes(include) {
  if (include.concept) return include.concept.map((concept) => concept.code);
  const system = codeSystems.get(include.system);
  if (system?.content !== 'complete') return [OPEN];
  const known = flatten(system.concept ?? [], []);
  const tests = (include.filter ?? []).map((filter) => test(filter));
  if (tests.includes(undefined)) return [OPEN];
  return known.filter((one) => !abstract(one) && tests.every((fits) => fits(one))).map((one) => one.code);
}

/** Every concept of a code system with the codes above it. */
function flatten(concepts, above) {
  return concepts.flatMap((concept) => [
    { code: concept.code, above, properties: concept.property ?? [] },
    ...flatten(concept.concept ?? [], [...above, concept.code]),
  ]);
}

/** Groups that are no codes of their own. */
function abstract(concept) {
  return concept.properties.some((it) => (it.code === 'notSelectable' || it.code === 'abstract') && it.valueBoolean === true);
}

function test({ property, op, value }) {
  if (property === 'concept' && op === 'is-a') return (one) => one.code === value || one.above.includes(value);
  if (property === 'concept' && op === 'descendent-of') return (one) => one.above.includes(value);
  if (property === 'concept' && op === 'is-not-a') return (one) => one.code !== value && !one.above.includes(value);
  if (property === 'concept' && op === '=') return (one) => one.code === value;
  if (property === 'concept' && op === 'in') return (one) => value.split(',').includes(one.code);
  return undefined;
}
