//! Compile errors with helpful texts, for calls that come before or after `spawn`.
//!
//! A process has two types, one before and one after `spawn`, so such a call is an error in any
//! case. The traits here give the error its text. They are never implemented: a method that
//! requires one exists only to be named in the error. The return type of the method comes from the
//! same trait, so that the compiler does not also complain about how the result is used.
//!
//! Each method has its own trait, because an error text can only print a literal or a type, and a
//! type is printed with its path.

macro_rules! refusals {
    ($($refusal:ident: $message:literal, $label:literal, $note:literal;)*) => { $(
        #[doc = $message]
        #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
        pub trait $refusal {
            /// What the call would return.
            type Answer;
            /// Never called.
            fn refuse(&mut self) -> Self::Answer;
        }
    )* };
}

// Calls on a process that has not been spawned.
refusals! {
    NeedsJoin:
        "`join` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsTryJoin:
        "`try_join` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsJoinTimeout:
        "`join_timeout` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsWait:
        "`wait` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsTerminate:
        "`terminate` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsKill:
        "`kill` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsSignal:
        "`signal` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsShutdown:
        "`shutdown` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsDetach:
        "`detach` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsIsAlive:
        "`is_alive` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
    NeedsId:
        "`id` needs a running process, and this one has not been spawned",
        "call `spawn` first",
        "`spawn` returns the `Child` that has this method: `let child = process.spawn()?;`";
}

/// Declares methods of a running process that only fail to compile, each with its trait.
macro_rules! refused_after_spawn {
    ($($method:ident($($arg:ident),*) $refusal:ident: $message:literal, $label:literal, $note:literal;)*) => {
        refusals! { $($refusal: $message, $label, $note;)* }

        impl<T> super::Child<T> {
            $(
                #[doc(hidden)]
                pub fn $method<$($arg),*>(&mut self, $(_: $arg),*) -> <Self as $refusal>::Answer
                where
                    Self: $refusal,
                {
                    self.refuse()
                }
            )*
        }
    };
}

// Calls on a process that has been spawned. `name` and `start_method` are missing: a running
// process has methods of these names, which return what the builder has set.
refused_after_spawn! {
    spawn() NeedsValue:
        "this process has been spawned already, and a process can be spawned only once",
        "already spawned",
        "a `Child` is a running process: build another value to start another one";
    daemon(A) NeedsDaemon:
        "`daemon` must be set before `spawn`, and this process is running already",
        "`daemon` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().daemon(..).spawn(process)`";
    may_have_children(A) NeedsMayHaveChildren:
        "`may_have_children` must be set before `spawn`, and this process is running already",
        "`may_have_children` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().may_have_children(..).spawn(process)`";
    kill_on_drop(A) NeedsKillOnDrop:
        "`kill_on_drop` must be set before `spawn`, and this process is running already",
        "`kill_on_drop` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().kill_on_drop(..).spawn(process)`";
    backtrace(A) NeedsBacktrace:
        "`backtrace` must be set before `spawn`, and this process is running already",
        "`backtrace` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().backtrace(..).spawn(process)`";
    env(A, B) NeedsEnv:
        "`env` must be set before `spawn`, and this process is running already",
        "`env` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env(..).spawn(process)`";
    envs(A) NeedsEnvs:
        "`envs` must be set before `spawn`, and this process is running already",
        "`envs` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().envs(..).spawn(process)`";
    env_remove(A) NeedsEnvRemove:
        "`env_remove` must be set before `spawn`, and this process is running already",
        "`env_remove` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env_remove(..).spawn(process)`";
    env_clear() NeedsEnvClear:
        "`env_clear` must be set before `spawn`, and this process is running already",
        "`env_clear` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env_clear().spawn(process)`";
    current_dir(A) NeedsCurrentDir:
        "`current_dir` must be set before `spawn`, and this process is running already",
        "`current_dir` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().current_dir(..).spawn(process)`";
    stdin(A) NeedsStdin:
        "`stdin` must be set before `spawn`, and this process is running already",
        "`stdin` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().stdin(..).spawn(process)`";
    stdout(A) NeedsStdout:
        "`stdout` must be set before `spawn`, and this process is running already",
        "`stdout` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().stdout(..).spawn(process)`";
    stderr(A) NeedsStderr:
        "`stderr` must be set before `spawn`, and this process is running already",
        "`stderr` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().stderr(..).spawn(process)`";
    timeout(A) NeedsTimeout:
        "`timeout` must be set before `spawn`, and this process is running already",
        "`timeout` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().timeout(..).spawn(process)`";
    authkey(A) NeedsAuthkey:
        "`authkey` must be set before `spawn`, and this process is running already",
        "`authkey` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().authkey(..).spawn(process)`";
    memory_limit(A) NeedsMemoryLimit:
        "`memory_limit` must be set before `spawn`, and this process is running already",
        "`memory_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().memory_limit(..).spawn(process)`";
    cpu_time_limit(A) NeedsCpuTimeLimit:
        "`cpu_time_limit` must be set before `spawn`, and this process is running already",
        "`cpu_time_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().cpu_time_limit(..).spawn(process)`";
    open_files_limit(A) NeedsOpenFilesLimit:
        "`open_files_limit` must be set before `spawn`, and this process is running already",
        "`open_files_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().open_files_limit(..).spawn(process)`";
    process_group(A) NeedsProcessGroup:
        "`process_group` must be set before `spawn`, and this process is running already",
        "`process_group` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().process_group(..).spawn(process)`";
    groups(A) NeedsGroups:
        "`groups` must be set before `spawn`, and this process is running already",
        "`groups` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().groups(..).spawn(process)`";
    gid(A) NeedsGid:
        "`gid` must be set before `spawn`, and this process is running already",
        "`gid` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().gid(..).spawn(process)`";
    uid(A) NeedsUid:
        "`uid` must be set before `spawn`, and this process is running already",
        "`uid` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().uid(..).spawn(process)`";
    nice(A) NeedsNice:
        "`nice` must be set before `spawn`, and this process is running already",
        "`nice` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().nice(..).spawn(process)`";
    affinity(A) NeedsAffinity:
        "`affinity` must be set before `spawn`, and this process is running already",
        "`affinity` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().affinity(..).spawn(process)`";
    subreaper(A) NeedsSubreaper:
        "`subreaper` must be set before `spawn`, and this process is running already",
        "`subreaper` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().subreaper(..).spawn(process)`";
}
