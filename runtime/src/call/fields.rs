//! What generated code does with the fields of a process, apart from sending them.

use std::fmt;

/// Types that a field may have that is not sent.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no default value, which a field with `#[process(skip)]` has in the child",
    label = "not sent, and has no default",
    note = "implement `Default` for it, or make the field an `Option`, which is `None` in the child"
)]
pub trait Skipped {
    fn default() -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Default> Skipped for T {
    fn default() -> T {
        T::default()
    }
}

/// Returns the value that a field has in the child if it is not sent.
#[must_use]
pub fn skipped<T: Skipped>() -> T {
    <T as Skipped>::default()
}

/// Writes the struct of a function with its arguments.
///
/// # Errors
///
/// Those of the formatter.
pub fn debug(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    fields: &[(&str, &dyn fmt::Debug)],
) -> fmt::Result {
    let mut text = f.debug_struct(name);
    for (name, value) in fields {
        text.field(name, value);
    }
    text.finish()
}
