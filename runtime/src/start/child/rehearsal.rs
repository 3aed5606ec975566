//! A rehearsal of a child's work, in the helper and in spares.

use super::{
    arrival::{Entered, arrive},
    line::line_on,
    tell,
};
use crate::{
    call::Entry,
    error::{Error, Result},
    start::{
        StartMethod,
        bond::Bond,
        identity::AuthKey,
        message::{
            birth::{Birth, Role, kind},
            heritage::Changes,
        },
        settings::ChildSettings,
    },
    sys::{alone::Alone, image::Place, signal, socket, stdio},
    wire::Outgoing,
};

/// Does everything once that a child of the helper does, from its birth to its value, on a line to
/// itself. A fork of this process then finds done what must be done only once: symbols are bound,
/// memory is allocated, and this executable has been looked at.
///
/// It changes nothing that a birth does not set again.
pub(super) fn rehearse(name: &str, entered: Entered, alone: &Alone) -> Result<()> {
    let no_socket = |source| Error::os("no socket for a rehearsal", source);
    let (ours, theirs) = socket::pair().map_err(no_socket)?;
    let (ours, theirs) = (line_on(&ours), line_on(&theirs));
    let birth = Birth {
        name: name.to_owned(),
        parent_name: String::new(),
        bond: Bond::ORDINARY,
        start_method: StartMethod::ForkServer,
        entry: Place::of((|_, _| Ok(())) as Entry)
            .map_err(|source| Error::os("the executable cannot be read", source))?,
        authkey: AuthKey::new([]),
        environment: Some(Vec::new()),
        timeout: None,
        settings: ChildSettings::default(),
        signal_mask: signal::Mask::MAX,
        awaits_parent: false,
        has_arguments: true,
        roles: vec![Role::Output, Role::Error, Role::Directory],
    };
    let mut arguments = Outgoing::default();
    arguments.put("a rehearsal", name)?;
    let birth = birth.encode(&arguments.bytes)?;
    let unsaid = |source| Error::os("a line to itself cannot be used", source);
    let null = || stdio::null().map_err(unsaid);
    let root = stdio::working_directory().map_err(unsaid)?;
    ours.send(kind::BIRTH, &birth, &[null()?, null()?, root])
        .map_err(unsaid)?;
    let unchanged = Changes::default().encode()?;
    ours.send(kind::HERITAGE, &unchanged, &[]).map_err(unsaid)?;
    let (_, mut arguments) = arrive(&theirs, None, entered, Some(alone))?;
    drop(arguments.take::<String>()?);
    tell::reached(&theirs).map_err(unsaid)?;
    let mut value = Outgoing::default();
    value.put("a rehearsal", name)?;
    tell::returned(&theirs, &value).map_err(unsaid)
}
