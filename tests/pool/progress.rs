//! Progress bars, as a terminal shows them.

use nix::pty::{Winsize, openpty};
use procession_tests::{DEADLINE, within};
use std::{
    fs::File,
    io::Read,
    process::{Command, Stdio},
};

/// How wide the terminal is.
const WIDTH: usize = 80;

fn program(act: &str) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_progress"));
    program
        .arg(act)
        .env("TERM", "xterm")
        .env("RUST_BACKTRACE", "0");
    program
}

/// Runs the program with a terminal, and returns what it has written to it.
fn in_terminal(program: &mut Command) -> String {
    let size = Winsize {
        ws_row: 24,
        ws_col: u16::try_from(WIDTH).unwrap(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    program
        .stdin(Stdio::null())
        .stdout(pty.slave.try_clone().unwrap())
        .stderr(pty.slave);
    within(DEADLINE, || {
        let mut child = program.spawn().unwrap();
        // It holds the terminal open.
        program.stdout(Stdio::null()).stderr(Stdio::null());
        let (mut master, mut written) = (File::from(pty.master), Vec::new());
        // An error is how the end of a terminal is told.
        let _ = master.read_to_end(&mut written);
        assert!(child.wait().unwrap().success());
        String::from_utf8(written).unwrap()
    })
}

/// What a terminal shows in the end, as lines without spaces at their ends. It knows the controls
/// that the bar uses.
fn screen(written: &str) -> Vec<String> {
    let (mut lines, mut column) = (vec![Vec::new()], 0);
    let mut letters = written.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\r' => column = 0,
            '\n' => {
                lines.push(Vec::new());
            }
            '\x1b' => match letters.by_ref().take(3).collect::<String>().as_str() {
                "[2K" => lines.last_mut().unwrap().clear(),
                other => panic!("{other:?} is an unknown control"),
            },
            letter => {
                assert!(column < WIDTH, "{written:?}");
                let line = lines.last_mut().unwrap();
                line.resize(line.len().max(column + 1), ' ');
                line[column] = letter;
                column += 1;
            }
        }
    }
    let lines = lines.into_iter().map(String::from_iter);
    lines
        .map(|line: String| line.trim_end().to_owned())
        .collect()
}

#[test]
fn bar_shows_how_many_are_done_and_have_failed() {
    for act in ["ordered", "unordered"] {
        let written = in_terminal(&mut program(act));
        assert!(written.contains("tasks [="), "{written:?}");
        assert!(written.contains("/100, "), "{written:?}");
        assert!(written.contains(" failed, "), "{written:?}");
        assert!(written.contains("s left"), "{written:?}");
        let lines = screen(&written);
        assert!(
            lines[0].starts_with("tasks: 100 done, 10 failed, "),
            "{lines:?}"
        );
        assert_eq!(lines[1..], ["done", ""]);
    }
}

#[test]
fn bar_without_a_total_shows_no_end() {
    let written = in_terminal(&mut program("endless"));
    assert!(written.contains("a label: "), "{written:?}");
    // When the jobs have come to their end, the total is known.
    let with_total = written.split('\r').filter(|bar| bar.contains("left"));
    assert!(with_total.into_iter().all(|bar| bar.contains("/100")));
    let lines = screen(&written);
    assert!(
        lines[0].starts_with("a label: 100 done, 10 failed"),
        "{lines:?}"
    );
}

#[test]
fn bar_that_is_dropped_leaves_its_line() {
    let lines = screen(&in_terminal(&mut program("dropped")));
    assert!(
        lines[0].starts_with("tasks: 50 done, 5 failed"),
        "{lines:?}"
    );
    assert_eq!(lines[1..], ["done", ""]);
}

#[test]
fn bar_is_shown_if_no_other_one_is() {
    let written = in_terminal(&mut program("two"));
    assert!(!written.contains("second"));
    let lines = screen(&written);
    assert!(lines[0].starts_with("first: 100 done"), "{lines:?}");
    assert!(lines[1].starts_with("third: 100 done"), "{lines:?}");
    assert_eq!(lines[2..], ["done", ""]);
}

#[test]
fn bar_is_hidden_where_nobody_could_see_it() {
    let mut dumb = program("ordered");
    dumb.env("TERM", "dumb");
    assert_eq!(in_terminal(&mut dumb), "done\r\n");
    assert_eq!(in_terminal(&mut program("nested")), "done\r\n");
    for act in ["ordered", "workers print without a bar"] {
        let output = within(DEADLINE, || program(act).output().unwrap());
        assert!(output.status.success());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(
            !errors.contains("tasks") && !errors.contains('\x1b'),
            "{errors:?}"
        );
        assert!(output.stdout.ends_with(b"done\n"));
    }
}

/// The lines of one job of the program, as they must be in the terminal.
fn lines_of(n: usize) -> [String; 4] {
    [
        format!("line {n} on stdout"),
        format!("line {n} on stderr"),
        "and a second one".to_owned(),
        "one and the other".to_owned(),
    ]
}

#[test]
fn what_is_printed_is_above_the_bar() {
    let written = in_terminal(&mut program("workers print"));
    let lines = screen(&written);
    let mut expected = Vec::new();
    for n in 0..20 {
        expected.push(format!("line {n} of the parent"));
        expected.extend(lines_of(n));
    }
    let (printed, rest) = lines.split_at(expected.len().min(lines.len()));
    let mut sorted = printed.to_vec();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "{lines:#?}");
    assert!(rest[0].starts_with("talk: 20 done"), "{lines:#?}");
    assert_eq!(rest[1..], ["done", ""]);
    // What a job has printed comes before its result.
    for n in 0..20 {
        let place = |line: String| printed.iter().position(|other| *other == line).unwrap();
        assert!(place(lines_of(n)[1].clone()) < place(format!("line {n} of the parent")));
    }
}

#[test]
fn what_is_printed_without_a_bar_is_printed_all_the_same() {
    let mut lines = screen(&in_terminal(&mut program("workers print without a bar")));
    assert_eq!(lines.pop().unwrap(), "no end");
    let done = lines.iter().position(|line| line == "done").unwrap();
    lines.remove(done);
    let expected: Vec<_> = (0..20).flat_map(lines_of).collect();
    assert_eq!(lines, expected);
}
