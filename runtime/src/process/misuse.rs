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

// Calls on a process that has been spawned.
refusals! {
    NeedsValue:
        "this process has been spawned already, and a process can be spawned only once",
        "already spawned",
        "a `Child` is a running process: build another value to start another one";
    NeedsDaemon:
        "`daemon` must be set before `spawn`, and this process is running already",
        "`daemon` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().daemon(..).spawn(process)`";
    NeedsKillOnDrop:
        "`kill_on_drop` must be set before `spawn`, and this process is running already",
        "`kill_on_drop` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().kill_on_drop(..).spawn(process)`";
    NeedsBacktrace:
        "`backtrace` must be set before `spawn`, and this process is running already",
        "`backtrace` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().backtrace(..).spawn(process)`";
    NeedsEnv:
        "`env` must be set before `spawn`, and this process is running already",
        "`env` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env(..).spawn(process)`";
    NeedsEnvRemove:
        "`env_remove` must be set before `spawn`, and this process is running already",
        "`env_remove` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env_remove(..).spawn(process)`";
    NeedsEnvClear:
        "`env_clear` must be set before `spawn`, and this process is running already",
        "`env_clear` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().env_clear().spawn(process)`";
    NeedsCurrentDir:
        "`current_dir` must be set before `spawn`, and this process is running already",
        "`current_dir` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().current_dir(..).spawn(process)`";
    NeedsTimeout:
        "`timeout` must be set before `spawn`, and this process is running already",
        "`timeout` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().timeout(..).spawn(process)`";
    NeedsAuthkey:
        "`authkey` must be set before `spawn`, and this process is running already",
        "`authkey` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().authkey(..).spawn(process)`";
    NeedsMemoryLimit:
        "`memory_limit` must be set before `spawn`, and this process is running already",
        "`memory_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().memory_limit(..).spawn(process)`";
    NeedsCpuTimeLimit:
        "`cpu_time_limit` must be set before `spawn`, and this process is running already",
        "`cpu_time_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().cpu_time_limit(..).spawn(process)`";
    NeedsOpenFilesLimit:
        "`open_files_limit` must be set before `spawn`, and this process is running already",
        "`open_files_limit` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().open_files_limit(..).spawn(process)`";
    NeedsNice:
        "`nice` must be set before `spawn`, and this process is running already",
        "`nice` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().nice(..).spawn(process)`";
    NeedsAffinity:
        "`affinity` must be set before `spawn`, and this process is running already",
        "`affinity` must come before `spawn`",
        "give a process its settings with a builder: `Builder::new().affinity(..).spawn(process)`";
}

impl<T> super::Child<T> {
    #[doc(hidden)]
    pub fn daemon<A>(&mut self, _: A) -> <Self as NeedsDaemon>::Answer
    where
        Self: NeedsDaemon,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn kill_on_drop<A>(&mut self, _: A) -> <Self as NeedsKillOnDrop>::Answer
    where
        Self: NeedsKillOnDrop,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn backtrace<A>(&mut self, _: A) -> <Self as NeedsBacktrace>::Answer
    where
        Self: NeedsBacktrace,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn env<A, B>(&mut self, _: A, _: B) -> <Self as NeedsEnv>::Answer
    where
        Self: NeedsEnv,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn env_remove<A>(&mut self, _: A) -> <Self as NeedsEnvRemove>::Answer
    where
        Self: NeedsEnvRemove,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn env_clear(&mut self) -> <Self as NeedsEnvClear>::Answer
    where
        Self: NeedsEnvClear,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn current_dir<A>(&mut self, _: A) -> <Self as NeedsCurrentDir>::Answer
    where
        Self: NeedsCurrentDir,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn timeout<A>(&mut self, _: A) -> <Self as NeedsTimeout>::Answer
    where
        Self: NeedsTimeout,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn authkey<A>(&mut self, _: A) -> <Self as NeedsAuthkey>::Answer
    where
        Self: NeedsAuthkey,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn memory_limit<A>(&mut self, _: A) -> <Self as NeedsMemoryLimit>::Answer
    where
        Self: NeedsMemoryLimit,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn cpu_time_limit<A>(&mut self, _: A) -> <Self as NeedsCpuTimeLimit>::Answer
    where
        Self: NeedsCpuTimeLimit,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn open_files_limit<A>(&mut self, _: A) -> <Self as NeedsOpenFilesLimit>::Answer
    where
        Self: NeedsOpenFilesLimit,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn nice<A>(&mut self, _: A) -> <Self as NeedsNice>::Answer
    where
        Self: NeedsNice,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn affinity<A>(&mut self, _: A) -> <Self as NeedsAffinity>::Answer
    where
        Self: NeedsAffinity,
    {
        self.refuse()
    }

    #[doc(hidden)]
    pub fn spawn(&mut self) -> <Self as NeedsValue>::Answer
    where
        Self: NeedsValue,
    {
        self.refuse()
    }
}
