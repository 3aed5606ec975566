//! How much more memory this process may get: nothing limits it here, as far as can be seen.

pub(crate) fn keep_reserve() {}

pub(crate) fn free_reserve() {}

pub(crate) fn is_limited() -> bool {
    false
}

pub(crate) fn is_there_for_a_backtrace() -> bool {
    true
}
