//! System calls that a process may not make.

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use std::{collections::BTreeMap, env};

/// Has a system call refused to this process, and to those that come from it.
///
/// # Panics
///
/// When the kernel has no filters.
pub fn refuse(call: i64, errno: i32) {
    refuse_some(call, Vec::new(), errno);
}

/// Has a system call refused where its arguments match one of the rules.
///
/// # Panics
///
/// When the kernel has no filters.
pub fn refuse_some(call: i64, rules: Vec<SeccompRule>, errno: i32) {
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, rules)]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.cast_unsigned()),
        TargetArch::try_from(env::consts::ARCH).expect("filters are for this machine, too"),
    );
    let program = BpfProgram::try_from(filter.expect("it is one rule")).expect("it is short");
    seccompiler::apply_filter(&program).expect("the kernel has filters");
}
