// Prints the tables of src/fhir/definitions; with --check it compares instead. See README.md.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Tree, elements, invariants, types } from './elements.mjs';
import { complete, restored } from './restore.mjs';
import { members, parameters } from './search.mjs';
import { expand } from './valuesets.mjs';

const target = new URL('../../src/fhir/definitions/', import.meta.url);
const check = process.argv.includes('--check');

complete();
const elementRows = elements();
const sets = expand(elementRows.map((row) => row[6]).filter((url) => url));
const tables = {
  'types.tsv': [['type', 'kind', 'abstract', 'base', 'regex'], types()],
  'elements.tsv': [
    ['path', 'order', 'min', 'max', 'types', 'content_reference', 'binding', 'modifier', 'summary'],
    elementRows,
  ],
  'valuesets.tsv': [['value_set', 'system', 'code'], sets.rows],
  'search_parameters.tsv': [
    ['base', 'code', 'type', 'expression', 'targets', 'url', 'modifiers', 'comparators', 'plain'],
    parameters(new Tree(elementRows)),
  ],
  'compartments.tsv': [['compartment', 'type', 'parameters'], members()],
  'invariants.tsv': [['path', 'key', 'severity', 'human', 'expression'], invariants()],
};

function print(head, rows) {
  return [head, ...rows]
    .map((row) => {
      if (row.length !== head.length) throw new Error(`${row.join(' ')}: ${row.length} columns`);
      const line = row.join('\t');
      if (line.split('\t').length !== head.length || line.includes('\n')) throw new Error(`${line}: a tab or line break`);
      return `${line}\n`;
    })
    .join('');
}

let different = 0;
for (const [name, [head, rows]] of Object.entries(tables)) {
  const file = fileURLToPath(new URL(name, target));
  const text = print(head, rows);
  const same = existsSync(file) && readFileSync(file, 'utf8') === text;
  if (!same && check) different += 1;
  if (!same && !check) writeFileSync(file, text);
  console.log(`${name} ${rows.length} rows, ${Buffer.byteLength(text)} bytes${same ? '' : check ? ': DIFFERENT' : ': written'}`);
}
console.log(`not as R4 in the package:\n  ${restored.sort().join('\n  ')}`);
console.log(`open:\n  ${sets.open.join('\n  ')}`);
if (different > 0) {
  console.error(`${different} tables are not what the definitions say; run conformance/definitions/run and commit them`);
  process.exit(1);
}
