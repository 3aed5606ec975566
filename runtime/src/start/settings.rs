//! The settings that a process is started with.

use super::{StartMethod, Stdio, child::backtrace, environment::Environment, identity::AuthKey};
use crate::{
    error::{Error, ErrorKind, Result},
    sys::{family, limits, user},
};
use std::{env, io, path::PathBuf, time::Duration};

/// Makes everything from the table of settings that has one part for each setting:
///
/// - [`Settings`], in which a builder or an attribute sets them, and its `or` and `reset`;
/// - [`ChildSettings`], the part that travels to the child;
/// - [`Setting`], which names one of them;
/// - `arguments_in_docs!`, the rows of the list in the documentation of the attribute.
///
/// A row is the name of the setting, its field and type, its default in words, and the arguments of
/// the attribute that set it: the method of `Builder` to call, what the argument takes in words,
/// and an example.
///
/// A new setting has a row here, and four parts that cannot be made from the row:
///
/// - a step in [`ChildSettings::apply`], or a place where the parent uses it;
/// - a method of `Builder`;
/// - a refusal after `spawn` in `process/misuse.rs`;
/// - an argument in `macros/src/args.rs`.
///
/// `tests/repository/settings.rs` compares these parts with the table.
macro_rules! settings {
    (
        parent {$(
            $parent:ident $for_parent:ident: $parent_type:ty, $parent_default:literal
                $(, $parent_method:ident($parent_takes:literal, $parent_example:literal))*;
        )*}
        child {$(
            $child:ident $for_child:ident: $child_type:ty, $child_default:literal
                $(, $child_method:ident($child_takes:literal, $child_example:literal))*;
        )*}
    ) => {
        /// The settings of a [`Builder`](crate::Builder). The attribute of the process decides
        /// about those that are not set, and the defaults decide about the rest.
        #[derive(Clone, Debug, Default)]
        pub struct Settings {
            $(pub(crate) $for_parent: Option<$parent_type>,)*
            pub(crate) child: ChildSettings,
            /// The settings about which the attribute does not decide, although they are not set.
            reset: Vec<Setting>,
        }

        /// The settings that the child applies to itself. They travel in its birth.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct ChildSettings {
            $(
                pub(crate) $for_child: Option<$child_type>,
            )*
        }

        crate::wire::as_tuple!(ChildSettings { $($for_child),* });

        /// One of the settings of a [`Builder`](crate::Builder), to name it in
        /// [`Builder::reset`](crate::Builder::reset).
        ///
        /// Each setting has a default, which it has if neither the builder nor the attribute of the
        /// process sets it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Setting {
            $(
                #[doc = concat!(
                    "[`Builder::", stringify!($for_parent), "`](crate::Builder::",
                    stringify!($for_parent), "). The default is ", $parent_default, "."
                )]
                $parent,
            )*
            $(
                #[doc = concat!(
                    "[`Builder::", stringify!($for_child), "`](crate::Builder::",
                    stringify!($for_child), "). The default is ", $child_default, "."
                )]
                $child,
            )*
        }

        impl Setting {
            /// All settings. If a builder resets all, the attribute of a process has no effect.
            pub const ALL: &[Self] = &[$(Self::$parent,)* $(Self::$child,)*];
        }

        impl Settings {
            /// Takes a setting back: it has its default, whatever the attribute says.
            pub(crate) fn reset(&mut self, setting: Setting) {
                match setting {
                    $(Setting::$parent => self.$for_parent = None,)*
                    $(Setting::$child => self.child.$for_child = None,)*
                }
                self.reset.push(setting);
            }

            /// Takes from `defaults` what is neither set here nor reset.
            fn fill(&mut self, defaults: Self) {
                $(
                    if self.$for_parent.is_none() && !self.reset.contains(&Setting::$parent) {
                        self.$for_parent = defaults.$for_parent;
                    }
                )*
                $(
                    if self.child.$for_child.is_none() && !self.reset.contains(&Setting::$child) {
                        self.child.$for_child = defaults.child.$for_child;
                    }
                )*
            }
        }

        /// The rows of the list of arguments, for the documentation of the attribute.
        macro_rules! arguments_in_docs {
            () => {
                concat!(
                    $($(
                        "| `", $parent_example, "` | ", $parent_takes, " | ", $parent_default,
                        " | [`", stringify!($parent_method), "`](crate::Builder::",
                        stringify!($parent_method), ") |\n",
                    )*)*
                    $($(
                        "| `", $child_example, "` | ", $child_takes, " | ", $child_default,
                        " | [`", stringify!($child_method), "`](crate::Builder::",
                        stringify!($child_method), ") |\n",
                    )*)*
                )
            };
        }
        pub(crate) use arguments_in_docs;
    };
}

settings! {
    parent {
        Name name: String, "the name of the function or struct with a number",
            name("a string", r#"name = "worker""#);
        Daemon daemon: bool, "`false`",
            daemon("a `bool`", "daemon = true");
        StartMethod start_method: StartMethod, "that of `set_start_method`",
            start_method("a `StartMethod` or its name", r#"start_method = "forkserver"`, `start_method = "spawn"`, `start_method = "fork""#);
        Timeout timeout: Duration, "no timeout",
            timeout("a `Duration`", "timeout = std::time::Duration::from_secs(5)");
        Authkey authkey: AuthKey, "the key of this process";
        Env env: Environment, "the environment of this process",
            env("variables", r#"env("NAME" = "value", ..)"#),
            envs("pairs of names and values", r#"envs = [("NAME", "value")]"#),
            env_remove("names of variables", r#"env_remove("NAME", ..)"#),
            env_clear("no value", "env_clear");
        Stdin stdin: Stdio, "`Stdio::null()`",
            stdin("a `Stdio` or an open file", "stdin = procession::Stdio::inherit()");
        Stdout stdout: Stdio, "`Stdio::inherit()`",
            stdout("a `Stdio` or an open file", "stdout = procession::Stdio::null()");
        Stderr stderr: Stdio, "`Stdio::inherit()`",
            stderr("a `Stdio` or an open file", "stderr = procession::Stdio::null()");
        KillOnDrop kill_on_drop: bool, "`false`",
            kill_on_drop("a `bool`", "kill_on_drop = true");
        MayHaveChildren may_have_children: bool, "`true`, but `false` for a daemon",
            may_have_children("a `bool`", "may_have_children = true");
    }
    child {
        Backtrace backtrace: bool, "what the environment of the process says",
            backtrace("a `bool`", "backtrace = true");
        Subreaper subreaper: bool, "`false`",
            subreaper("a `bool`", "subreaper = true");
        CurrentDir current_dir: PathBuf, "the working directory of this process",
            current_dir("a path", r#"current_dir = "/tmp""#);
        MemoryLimit memory_limit: u64, "the limit of this process",
            memory_limit("a `u64`", "memory_limit = 64 << 20");
        CpuTimeLimit cpu_time_limit: Duration, "the limit of this process",
            cpu_time_limit("a `Duration`", "cpu_time_limit = std::time::Duration::from_secs(5)");
        OpenFilesLimit open_files_limit: u64, "the limit of this process",
            open_files_limit("a `u64`", "open_files_limit = 64");
        Nice nice: i32, "the nice value of this process",
            nice("an `i32`", "nice = 10");
        Affinity affinity: Vec<usize>, "the CPUs of this process",
            affinity("the numbers of CPUs", "affinity = [0, 1]");
        ProcessGroup process_group: i32, "the process group of this process",
            process_group("an `i32`", "process_group = 0");
        Groups groups: Vec<u32>, "the groups of this process",
            groups("the ids of groups", "groups = [100]");
        Gid gid: u32, "the group of this process",
            gid("a `u32`", "gid = 1000");
        Uid uid: u32, "the user of this process",
            uid("a `u32`", "uid = 1000");
    }
}

impl Settings {
    /// Takes from `defaults` what is not set here. The changes of the environment add up.
    pub(crate) fn or(mut self, mut defaults: Self) -> Self {
        if !self.reset.contains(&Setting::Env)
            && let Some(earlier) = defaults.env.take()
        {
            self.env = Some(earlier.then(self.env.take().unwrap_or_default()));
        }
        self.fill(defaults);
        self
    }
}

impl ChildSettings {
    /// Applies the settings to this process, which is the child. The order matters: limits come
    /// after the steps that need descriptors or memory, and the user comes last.
    pub(super) fn apply(self) -> Result<()> {
        let Self {
            backtrace,
            subreaper,
            current_dir,
            memory_limit,
            cpu_time_limit,
            open_files_limit,
            nice,
            affinity,
            process_group,
            groups,
            gid,
            uid,
        } = self;
        backtrace::want(backtrace);
        if subreaper == Some(true) {
            family::keep_orphans().map_err(setting("it cannot keep its orphans"))?;
        }
        if let Some(path) = current_dir {
            let what = format!("its working directory cannot be set to {}", path.display());
            env::set_current_dir(path).map_err(setting(what))?;
        }
        if let Some(bytes) = memory_limit {
            limits::set_memory(bytes).map_err(setting("its memory cannot be limited"))?;
        }
        if let Some(time) = cpu_time_limit {
            limits::set_cpu_time(time).map_err(setting("its CPU time cannot be limited"))?;
        }
        if let Some(count) = open_files_limit {
            limits::set_open_files(count).map_err(setting("its open files cannot be limited"))?;
        }
        if let Some(nice) = nice {
            limits::set_nice(nice)
                .map_err(setting(format!("its nice value cannot be set to {nice}")))?;
        }
        if let Some(cpus) = affinity {
            limits::set_affinity(&cpus)
                .map_err(setting(format!("it cannot be bound to the CPUs {cpus:?}")))?;
        }
        if let Some(group) = process_group {
            user::join_process_group(group)
                .map_err(setting(format!("it cannot join the process group {group}")))?;
        }
        // Everything before may need the rights that are given up here. The user comes last: only
        // the old one may change the groups.
        if let Some(groups) = groups {
            user::set_groups(&groups)
                .map_err(setting(format!("its groups cannot be set to {groups:?}")))?;
        } else if uid.is_some() {
            user::leave_groups().map_err(setting("it cannot leave the groups of its parent"))?;
        }
        if let Some(gid) = gid {
            user::set_gid(gid).map_err(setting(format!("its group cannot be set to {gid}")))?;
        }
        if let Some(uid) = uid {
            user::set_uid(uid).map_err(setting(format!("its user cannot be set to {uid}")))?;
        }
        Ok(())
    }
}

/// Returns the error that a setting cannot be applied.
pub(super) fn setting<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> Error {
    |source| Error::new(ErrorKind::Setting, what.into()).because(source.into())
}

#[cfg(test)]
mod tests {
    use super::{ChildSettings, Setting, Settings};
    use crate::wire;

    #[test]
    fn settings_travel() {
        let bytes = wire::encode(&ChildSettings {
            nice: Some(-5),
            affinity: Some(vec![1, 0]),
            ..ChildSettings::default()
        });
        let settings: ChildSettings = wire::decode(&bytes.unwrap()).unwrap();
        assert_eq!(
            (settings.nice, settings.affinity, settings.memory_limit),
            (Some(-5), Some(vec![1, 0]), None)
        );
    }

    #[test]
    fn setting_that_was_reset_has_no_value_of_the_attribute() {
        let attribute = || Settings {
            daemon: Some(true),
            child: ChildSettings {
                subreaper: Some(true),
                ..ChildSettings::default()
            },
            ..Settings::default()
        };
        let mut builder = Settings::default();
        builder.reset(Setting::Daemon);
        builder.child.subreaper = Some(false);
        let both = builder.or(attribute());
        assert_eq!((both.daemon, both.child.subreaper), (None, Some(false)));
        let both = Settings::default().or(attribute());
        assert_eq!(
            (both.daemon, both.child.subreaper),
            (Some(true), Some(true))
        );
    }
}
