//! How a process is bound to its parent.

/// What a parent and its child owe each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bond {
    /// Whether the kernel kills the process when its parent ends, however the parent ends.
    pub(crate) lifeline: bool,
    /// Whether the process may start processes of its own.
    pub(crate) may_have_children: bool,
    /// What the parent does with the process when the parent ends normally.
    pub(crate) at_exit: AtExit,
}

/// What a parent does with a child at its own normal end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AtExit {
    /// It waits for the child.
    Join,
    /// It asks the child to end, and kills it soon after.
    Terminate,
}

crate::wire::as_tuple!(Bond {
    lifeline,
    may_have_children,
    at_exit
});
crate::wire::as_name!(AtExit { Join, Terminate });

impl Bond {
    /// The bond of a process that is no daemon, and of one that this crate has not started.
    pub(crate) const ORDINARY: Self = Self {
        lifeline: false,
        may_have_children: true,
        at_exit: AtExit::Join,
    };

    /// The bond of a daemon.
    const DAEMON: Self = Self {
        lifeline: true,
        may_have_children: false,
        at_exit: AtExit::Terminate,
    };

    /// Returns the bond of a child of a process with the bond `parent`.
    pub(crate) fn of_child(
        parent: Self,
        daemon: Option<bool>,
        may_have_children: Option<bool>,
    ) -> Self {
        let bond = if daemon == Some(true) {
            Self::DAEMON
        } else {
            Self::ORDINARY
        };
        Self {
            // A parent that is killed with its own parent cannot wait for its children.
            lifeline: bond.lifeline || parent.lifeline,
            may_have_children: may_have_children.unwrap_or(bond.may_have_children),
            ..bond
        }
    }

    /// Whether the process is a daemon: its parent ends it.
    pub(crate) fn is_daemon(self) -> bool {
        self.at_exit == AtExit::Terminate
    }
}
