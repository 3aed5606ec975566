//! The feature `tracing`: what happens to processes arrives in the subscriber of the program.

use procession::{Builder, StartMethod, process};
use procession_tests::alone;
use std::{
    fmt,
    sync::{Arc, Mutex},
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

#[process]
fn task(status: i32) {
    std::process::exit(status)
}

#[process]
fn nothing() {}

/// Keeps the events of `procession` as text.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        // How long a start takes differs each time.
        if field.name() != "micros" {
            write!(self.0, "{}={value:?};", field.name()).unwrap();
        }
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "procession"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn starts_and_ends_are_told() {
    alone(|| {
        for method in [
            StartMethod::ForkServer,
            StartMethod::Spawn,
            StartMethod::ForkServer,
        ] {
            let log = Log::default();
            let pid = tracing::subscriber::with_default(log.clone(), || {
                let child = Builder::new()
                    .name("worker")
                    .start_method(method)
                    .spawn(task::new(3))
                    .unwrap();
                let pid = child.id();
                child.join().unwrap_err();
                pid
            });
            let lines = log.lines();
            let [.., spawned, ended] = &lines[..] else {
                panic!("{lines:?}")
            };
            let method = method.to_string();
            assert_eq!(
                *spawned,
                format!(
                    "message=spawned;pid={pid};name=\"worker\";start_method={method};spare=false;"
                )
            );
            assert_eq!(
                *ended,
                format!("message=ended;pid={pid};name=\"worker\";status=exit status: 3;")
            );
        }
    });
}

#[test]
fn helper_is_told_once_and_again_when_it_was_replaced() {
    alone(|| {
        let log = Log::default();
        tracing::subscriber::with_default(log.clone(), || {
            nothing::spawn().unwrap().join().unwrap();
            nothing::spawn().unwrap().join().unwrap();
            procession::stop_helper();
            nothing::spawn().unwrap().join().unwrap();
        });
        let lines = log.lines();
        let helpers = lines
            .iter()
            .filter(|line| line.starts_with("message=helper started"));
        assert_eq!(helpers.count(), 2, "{lines:?}");
    });
}

#[test]
fn start_that_fails_is_told_with_its_reason() {
    let log = Log::default();
    let error = tracing::subscriber::with_default(log.clone(), || {
        Builder::new()
            .current_dir("/nowhere")
            .name("lost")
            .spawn(nothing::new())
            .unwrap_err()
    });
    let lines = log.lines();
    let told = lines.last().unwrap();
    assert!(
        told.starts_with("message=not spawned;name=\"lost\";error="),
        "{told}"
    );
    assert!(told.contains(&error.to_string()), "{told}");
}
