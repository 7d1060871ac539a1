// search_parameters.tsv and compartments.tsv.

import { compareRows, compartments, searchParameters, tail } from './package.mjs';

export function parameters(tree) {
  const rows = [];
  for (const it of searchParameters) {
    for (const base of it.base) {
      const parts = split(it.expression ?? '').filter((part) => belongs(part, base, it.base));
      const plain = parts.map((part) => path(tree, base, part));
      rows.push([
        base,
        it.code,
        it.type,
        parts.join(' | '),
        (it.target ?? []).join(' '),
        it.url,
        (it.modifier ?? []).join(' '),
        (it.comparator ?? []).join(' '),
        parts.length > 0 && !plain.includes(undefined) && it.type !== 'composite' ? plain.join(' ') : '',
      ]);
    }
  }
  return rows.sort(compareRows);
}

/** The parts of a union, split outside of parentheses. */
function split(expression) {
  const parts = [''];
  let depth = 0;
  for (const c of expression) {
    if (c === '(') depth += 1;
    if (c === ')') depth -= 1;
    if (c === '|' && depth === 0) parts.push('');
    else parts[parts.length - 1] += c;
  }
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** Of this base: it starts with its name, or (Organization's `name | alias`) with no type's name at all. */
function belongs(part, base, bases) {
  const head = /^\(*(\w+)/.exec(part)?.[1] ?? '';
  return head === base || (bases.length === 1 && /^[a-z]/.test(head));
}

const NAMES = String.raw`[A-Za-z]\w*(?:\.[a-z]\w*)*`;
const AS = new RegExp(String.raw`^\((${NAMES}) as (\w+)\)((?:\.[a-z]\w*)*)$`);
const OF = new RegExp(String.raw`^(${NAMES})\.(?:as|ofType)\((\w+)\)((?:\.[a-z]\w*)*)$`);
const IS = new RegExp(String.raw`^(${NAMES})\.where\(resolve\(\) is (\w+)\)$`);
const ONLY = new RegExp(`^(${NAMES})$`);

/**
 * An expression that only goes down, as names of JSON: `(Observation.value as Quantity)` is `valueQuantity`,
 * `Observation.effective` is `effective[x]`, `Observation.subject.where(resolve() is Patient)` is `subject:Patient`.
 * Nothing for any other expression.
 */
function path(tree, base, part) {
  const chosen = AS.exec(part) ?? OF.exec(part);
  if (chosen) {
    const up = descend(tree, [base], names(base, chosen[1]));
    return up && walk(tree, choose(up, chosen[2]), chosen[3].split('.').slice(1));
  }
  const is = IS.exec(part);
  const down = is ?? ONLY.exec(part);
  const found = down && walk(tree, { places: [base], said: [] }, names(base, down[1]));
  return found && (is ? `${found}:${is[2]}` : found);
}

function names(base, text) {
  const all = text.split('.');
  return all[0] === base ? all.slice(1) : all;
}

function walk(tree, from, down) {
  return descend(tree, from.places, down, from.said)?.said.join('.');
}

function descend(tree, places, down, said = []) {
  let here = { places, said, types: [] };
  for (const name of down) {
    const found = here.places.map((place) => tree.child(place, name)).filter((child) => child);
    if (found.length === 0) throw new Error(`${here.places.join(', ')} have no ${name}`);
    here = { places: found.flatMap((one) => one.places), types: found.flatMap((one) => one.types), said: [...here.said, found[0].name] };
  }
  return here;
}

/** One type of a choice. Of an element with one type, it is that element. */
function choose(here, type) {
  if (!here.types.includes(type)) throw new Error(`${here.said.join('.')} is no ${type}`);
  const last = here.said[here.said.length - 1];
  const name = last.endsWith('[x]') ? last.slice(0, -3) + type[0].toUpperCase() + type.slice(1) : last;
  return { places: [type], said: [...here.said.slice(0, -1), name] };
}

/** `param` of the definition; without one the type is not in the compartment. */
export function members() {
  return compartments
    .flatMap((it) => it.resource.filter((one) => one.param).map((one) => [it.code, one.code, one.param.join(' ')]))
    .sort(compareRows);
}
