//! What is said at the very end of a thread or a program arrives.

use procession_tests::{DEADLINE, with_each_method, with_method, within};
use std::process::Command;

#[test]
fn last_words_of_threads_and_programs_arrive() {
    for how in ["thread", "exit"] {
        with_each_method(|method| {
            let mut program = Command::new(env!("CARGO_BIN_EXE_last_words"));
            let output = with_method(&mut program, method).arg(how).output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{how}: {}: {errors}",
                output.status
            );
            let said = String::from_utf8(output.stdout).unwrap();
            let said: Vec<_> = said.lines().collect();
            let talk = |text| [format!("queue: {text}"), format!("pipe: {text}")];
            let expected = [
                &talk("hello")[..],
                &talk("bye"),
                &["process: bye".to_owned()],
            ];
            assert_eq!(said, expected.concat(), "{how}");
        });
    }
}

#[test]
fn channels_work_when_the_main_thread_has_ended() {
    within(DEADLINE, || {
        let mut program = Command::new(env!("CARGO_BIN_EXE_last_words"));
        let output = program.arg("main thread").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", output.status);
        assert_eq!(output.stdout, b"queue: alone\npipe: alone\ntasks: done\n");
    });
}
