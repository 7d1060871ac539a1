// types.tsv, elements.tsv and invariants.tsv, from the StructureDefinitions.

import { compareRows, extension, structures, tail, withoutVersion } from './package.mjs';

const SYSTEM = 'http://hl7.org/fhirpath/System.';

export function types() {
  return structures.map((it) => [
    it.id,
    it.kind.replace('-type', ''),
    it.abstract ? 'y' : '',
    it.baseDefinition ? tail(it.baseDefinition) : '',
    regex(it),
  ]);
}

/** Of a primitive: what its text must match. */
function regex(structure) {
  if (structure.kind !== 'primitive-type') return '';
  const value = structure.snapshot.element.find((element) => element.path === `${structure.id}.value`);
  return extension(value.type[0], 'regex')?.valueString ?? '';
}

export function elements() {
  const rows = [];
  for (const structure of structures) {
    structure.snapshot.element.forEach((element, order) => {
      // A primitive's value is the JSON value itself; its form is in types.tsv.
      const value = structure.kind === 'primitive-type' && element.path.endsWith('.value');
      if (order > 0 && !value) rows.push(row(structure, element, order));
    });
  }
  return rows;
}

function row(structure, element, order) {
  return [
    // SimpleQuantity's paths start with Quantity.
    [structure.id, ...element.path.split('.').slice(1)].join('.'),
    order,
    element.min,
    element.max,
    (element.type ?? []).map((type) => typeName(element, type)).join(' '),
    element.contentReference?.slice(1) ?? '',
    binding(element),
    element.isModifier ? 'y' : '',
    element.isSummary ? 'y' : '',
  ];
}

/** As the specification writes it: `Reference(Patient|Group)`, `canonical(Questionnaire)`, `Quantity{SimpleQuantity}`. */
function typeName(element, type) {
  const targets = (type.targetProfile ?? []).map(tail);
  if (type.code === 'Reference' && targets.length === 0) targets.push('Resource');
  const profiles = (type.profile ?? []).map((profile) => `{${tail(profile)}}`);
  return plainType(element, type) + (targets.length > 0 ? `(${targets.join('|')})` : '') + profiles.join('');
}

function plainType(element, type) {
  // The definitions say System.String with fhir-type `string`; the page of Resource says `id`, and so does R4B.
  if (element.base?.path === 'Resource.id') return 'id';
  if (!type.code.startsWith(SYSTEM)) return type.code;
  return extension(type, 'structuredefinition-fhir-type')?.valueUrl ?? type.code.slice(SYSTEM.length).toLowerCase();
}

/** The value set that a code must be from: of a required binding, or the maximum of a weaker one. */
function binding(element) {
  const set =
    element.binding?.strength === 'required'
      ? element.binding.valueSet
      : extension(element.binding, 'elementdefinition-maxValueSet')?.valueCanonical;
  return set ? withoutVersion(set) : '';
}

/** Each where it is defined: a type has those of its base, and an element those of its type, as well. */
export function invariants() {
  const rows = [];
  for (const structure of structures) {
    const whole = (structure.snapshot.element[0].constraint ?? []).map((it) => it.key);
    for (const [order, element] of structure.snapshot.element.entries()) {
      const path = [structure.id, ...element.path.split('.').slice(1)].join('.');
      const own = (it) => it.severity === 'error' && (!it.source || it.source === structure.url) && !(order > 0 && whole.includes(it.key));
      for (const one of (element.constraint ?? []).filter(own)) {
        rows.push([path, one.key, one.severity, clean(one.human), clean(one.expression ?? '')]);
      }
    }
  }
  inherited(new Set(rows.map((row) => row[1])));
  return rows.sort(compareRows);
}

/** Every key of a snapshot must be defined somewhere. */
function inherited(known) {
  for (const structure of structures) {
    for (const element of structure.snapshot.element) {
      for (const one of element.constraint ?? []) {
        if (one.severity === 'error' && !known.has(one.key)) throw new Error(`${element.path}: nobody defines ${one.key}`);
      }
    }
  }
}

function clean(text) {
  return text.replace(/\s+/g, ' ').trim();
}

/** Looks elements up by path, for search parameters. */
export class Tree {
  #of = new Map();

  constructor(rows) {
    for (const [path, , , , types, content] of rows) {
      this.#of.set(path, { path, content, types: types.split(' ').map((type) => type.replace(/[({].*$/, '')) });
    }
  }

  /** The child of this name: where it stands, its name in JSON as far as it is known, and the types it may have. */
  child(place, name) {
    const plain = this.#of.get(`${place}.${name}`);
    if (plain) return { name, places: this.#places(plain), types: plain.types };
    const choice = this.#of.get(`${place}.${name}[x]`);
    return choice && { name: `${name}[x]`, places: choice.types, types: choice.types };
  }

  #places(element) {
    if (element.content) return [element.content];
    const own = [...this.#of.keys()].some((path) => path.startsWith(`${element.path}.`));
    return own ? [element.path] : element.types;
  }
}
