//! What stands for a Binary (https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext): it says nothing itself
//! by which it could be told who may see it.

use super::documents::{self, id_bytes};
use super::resources::{self, Reader};
use super::{Tx, document_rows};
use crate::error::Result;
use crate::fhir::validate::Object;
use crate::search::{Type, reference};

/// The resource that a Binary's securityContext names: its type and id.
pub fn context(of: Type, document: &Object<'_>) -> Option<(String, String)> {
    if of != Type::Binary {
        return None;
    }
    let named = document.objects("securityContext").find_map(|one| one.text("reference"))?;
    reference::stored(named).map(|(kind, id)| (kind.to_owned(), id.to_owned()))
}

/// May a Binary be shown, as far as others decide? What its securityContext names must be visible, and nothing that is there
/// and points to it may be withheld by a consent. Whoever points to a Binary gives nobody anything: else who knows its id
/// could read it.
pub fn stood_for(tx: &mut Tx<'_>, with: Reader<'_>, what: (&str, Option<(String, String)>)) -> Result<bool> {
    let Some(policy) = with.visible.stand_in() else { return Ok(true) };
    let (id, context) = what;
    if let Some((kind, context)) = context
        && let Some(of) = Type::parse(&kind)
    {
        let Some(visible) = policy.standing(of).and_then(|visible| visible.through(with.visible)) else { return Ok(false) };
        let shown = resources::version(tx, Reader { visible: &visible, ..with }, (of, &context, None))?;
        if shown.is_none() && exists(tx, with, (of, &context))? {
            return Ok(false);
        }
    }
    if !policy.withholds() {
        return Ok(true);
    }
    let terms = [Type::Binary.name(), document_rows::ATTACHED].map(|kind| document_rows::reference_term(with.vault.index(), kind, id));
    documents::each_referrer(tx, &terms, |tx, key| {
        let Some(visible) = policy.withheld(key.resource) else { return Ok(true) };
        Ok(resources::of_key(tx, Reader { visible: &visible, ..with }, key)?.is_some())
    })
}

/// Has it an entry in the directory, or is it an id that only a sample can have?
fn exists(tx: &mut Tx<'_>, with: Reader<'_>, what: (Type, &str)) -> Result<bool> {
    let (of, id) = what;
    let sample = of == Type::Observation && with.vault.sample_address(id).is_some();
    Ok(sample || documents::directory_find(tx, of, &id_bytes(with.vault, of, id))?.is_some())
}
