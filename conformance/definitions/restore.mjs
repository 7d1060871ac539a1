// The package's profiles and search parameters are not quite R4 4.0.1: members were added, targets widened, a binding
// changed. Its `dataelements.json` is as HL7 published it, with a row for nearly every leaf element; what differs is taken
// from there. What has no data element stands in the lists below; an entry that no longer applies is an error (`complete`).

const CHANGED_ELEMENTS = {
  // Of R5, with members that R4 does not have.
  'EvidenceVariable.characteristic': (it) => ({ ...it, min: 1, constraint: it.constraint.filter((one) => one.key !== 'evv-1') }),
};

/** Added groups whose members have paths too long for a data element, or are references to other groups. */
const ADDED_GROUPS = ['EvidenceVariable.characteristic.definitionByCombination', 'EvidenceVariable.characteristic.definitionByTypeAndValue'];

const ADDED_PARAMETERS = ['DetectedIssue-status', 'ServiceRequest-order-detail'];

const CHANGED_PARAMETERS = {
  'clinical-patient': (it) => ({ ...it, target: ['Patient', 'Group'] }),
  'MeasureReport-subject': (it) => ({
    ...it,
    target: ['Practitioner', 'Group', 'Device', 'Patient', 'PractitionerRole', 'RelatedPerson', 'Location'],
  }),
};

const FACTS = ['min', 'max', 'type', 'binding', 'isModifier', 'isSummary'];

/** Everywhere, and said by the type or by Element and BackboneElement. */
const INHERITED = ['id', 'extension', 'modifierExtension'];

/** What was taken back, to be printed. */
export const restored = [];

export function structure(it, dataElements) {
  const leaf = dataElements.filter((one) => one.path.startsWith(`${it.id}.`));
  const known = new Map(leaf.map((one) => [one.path, one]));
  if (it.derivation === 'constraint' || it.type === 'Quantity' || it.baseDefinition?.endsWith('/Quantity')) return it;
  const there = it.snapshot.element.map((one) => change(fact(one, known.get(one.path))));
  const kept = there.filter((one, n) => n === 0 || stays(one, there, known));
  for (const one of there.filter((one) => !kept.includes(one) && !INHERITED.includes(name(one)))) restored.push(`${one.path} left out`);
  for (const one of leaf.filter((one) => !there.some((other) => other.path === one.path))) insert(kept, one);
  return { ...it, snapshot: { ...it.snapshot, element: kept } };
}

function name(element) {
  return element.path.split('.').pop();
}

function parent(path) {
  return path.slice(0, path.lastIndexOf('.'));
}

function fact(element, witness) {
  if (!witness) return element;
  const same = (key) => JSON.stringify(element[key]) === JSON.stringify(witness[key]);
  const other = FACTS.filter((key) => !same(key) && !(key.startsWith('is') && !element[key] && !witness[key]));
  if (other.length === 0) return element;
  restored.push(`${element.path} ${other.join(', ')}`);
  return { ...element, ...Object.fromEntries(other.map((key) => [key, witness[key]])) };
}

function change(element) {
  const changed = CHANGED_ELEMENTS[element.path]?.(element);
  if (changed) restored.push(`${element.path} by hand`);
  return changed ?? element;
}

/** Does R4 have it? A group of elements is there if one of its own is; a path too long for an id has no data element. */
function stays(element, all, known) {
  if (ADDED_GROUPS.some((added) => `${element.path}.`.startsWith(`${added}.`))) return false;
  if (INHERITED.includes(name(element))) return element.path.split('.').length === 2 || group(parent(element.path), all, known);
  if (element.contentReference) return group(parent(element.path), all, known);
  const inside = all.some((one) => one.path.startsWith(`${element.path}.`));
  return inside ? group(element.path, all, known) : known.has(element.path) || tooLong(element.path);
}

function group(path, all, known) {
  if (!path.includes('.')) return true;
  const own = all.filter((one) => one.path.startsWith(`${path}.`) && !INHERITED.includes(name(one)));
  return own.some((one) => known.has(one.path) || tooLong(one.path) || one.contentReference);
}

function tooLong(path) {
  return `de-${path}`.length > 64;
}

/** After its last sibling. */
function insert(elements, element) {
  const above = parent(element.path);
  const last = elements.findLastIndex((one) => one.path === above || one.path.startsWith(`${above}.`));
  if (last < 0) throw new Error(`${element.path}: no place for it`);
  elements.splice(last + 1, 0, element);
  restored.push(`${element.path} put back`);
}

/** Every entry of the lists still found something. */
export function complete() {
  for (const one of [...Object.keys(CHANGED_ELEMENTS), ...ADDED_GROUPS]) {
    if (!restored.some((line) => line.startsWith(`${one} `))) throw new Error(`restore.mjs: nothing to do for ${one}`);
  }
}

export function searchParameters(all) {
  for (const id of [...ADDED_PARAMETERS, ...Object.keys(CHANGED_PARAMETERS)]) {
    if (!all.some((it) => it.id === id)) throw new Error(`no search parameter ${id}`);
    restored.push(`SearchParameter ${id} ${ADDED_PARAMETERS.includes(id) ? 'left out' : 'by hand'}`);
  }
  return all.filter((it) => !ADDED_PARAMETERS.includes(it.id)).map((it) => CHANGED_PARAMETERS[it.id]?.(it) ?? it);
}
