//! What follows from each event, and how each end comes about.

use super::{Action, End, Event, Moment, Place, Plan, Schedule, TaskId, Why, Wish, WorkerId};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

pub(super) const PLAN: Plan = Plan {
    least: 2,
    most: 2,
    tasks_per_worker: None,
    max_age: None,
    idle_timeout: None,
    ahead: true,
    poison_after: 3,
};
const ONE: Plan = Plan {
    least: 1,
    most: 1,
    ..PLAN
};
const AT_ONCE: Moment = Moment::ZERO;
const SLOW: Duration = Duration::from_millis(20);
const UNRESPONSIVE: Duration = Duration::from_secs(5);
const LONG: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::ZERO;
const A: WorkerId = worker(0, 0);
const B: WorkerId = worker(1, 0);
const NO_WISH: Wish = Wish {
    timeout: None,
    retries: 0,
};

const fn worker(index: u32, generation: u32) -> WorkerId {
    WorkerId { index, generation }
}

fn task(index: u32) -> TaskId {
    TaskId { index, turn: 7 }
}

fn offer(worker: WorkerId, index: u32) -> Action {
    Action::Offer(worker, task(index))
}

fn withdraw(worker: WorkerId, index: u32) -> Action {
    Action::Withdraw(worker, task(index))
}

fn resolve(index: u32, end: End) -> Action {
    Action::Resolve(task(index), end)
}

fn answered(worker: WorkerId, index: u32, took: Duration) -> Event {
    Event::Answered {
        worker,
        task: task(index),
        took,
        again: false,
    }
}

fn failed(worker: WorkerId, index: u32) -> Event {
    Event::Answered {
        worker,
        task: task(index),
        took: LONG,
        again: true,
    }
}

fn claimed(worker: WorkerId, index: u32, began: Moment) -> Event {
    let task = task(index);
    Event::Claimed {
        worker,
        task,
        began,
    }
}

fn withdrawn(worker: WorkerId, index: u32) -> Event {
    let task = task(index);
    Event::Withdrawn { worker, task }
}

fn gone(worker: WorkerId) -> Event {
    Event::Gone {
        worker,
        again: false,
    }
}

fn gone_again(worker: WorkerId) -> Event {
    Event::Gone {
        worker,
        again: true,
    }
}

fn cancelled(index: u32, running: bool) -> Event {
    let task = task(index);
    Event::Cancelled { task, running }
}

fn stepped(schedule: &mut Schedule, now: Moment) -> Vec<Action> {
    schedule.step(now);
    schedule.actions().collect()
}

fn told_all(
    schedule: &mut Schedule,
    events: impl IntoIterator<Item = Event>,
    now: Moment,
) -> Vec<Action> {
    for event in events {
        schedule.tell(event, now);
    }
    stepped(schedule, now)
}

fn told(schedule: &mut Schedule, event: Event, now: Moment) -> Vec<Action> {
    told_all(schedule, [event], now)
}

fn submitted(
    schedule: &mut Schedule,
    indices: impl IntoIterator<Item = u32>,
    wish: Wish,
) -> Vec<Action> {
    for index in indices {
        schedule.submit(task(index), wish, AT_ONCE);
    }
    stepped(schedule, AT_ONCE)
}

/// A pool whose least number of workers is ready.
fn ready(plan: Plan) -> Schedule {
    let least = u32::try_from(plan.least).unwrap();
    let mut schedule = Schedule::new(plan);
    let workers: Vec<_> = (0..least).map(|index| worker(index, 0)).collect();
    let started: Vec<_> = workers.iter().copied().map(Action::Start).collect();
    assert_eq!(stepped(&mut schedule, AT_ONCE), started);
    let events = workers.into_iter().map(Event::Ready);
    assert_eq!(told_all(&mut schedule, events, AT_ONCE), []);
    schedule
}

/// A pool of one worker that is known for short tasks. It is offered these, and runs the first.
fn busy(plan: Plan, indices: std::ops::Range<u32>, wish: Wish) -> Schedule {
    let mut schedule = ready(Plan { least: 1, ..plan });
    submitted(&mut schedule, [99], NO_WISH);
    told(&mut schedule, answered(A, 99, SHORT), AT_ONCE);
    let offered: Vec<_> = indices.clone().map(|index| offer(A, index)).collect();
    let actions = submitted(&mut schedule, indices.clone(), wish);
    assert_eq!(actions[..offered.len()], offered);
    told(&mut schedule, claimed(A, indices.start, AT_ONCE), AT_ONCE);
    schedule
}

fn with_timeout(timeout: Duration, retries: u32) -> Wish {
    Wish {
        timeout: Some(timeout),
        retries,
    }
}

fn with_retries(retries: u32) -> Wish {
    Wish {
        timeout: None,
        retries,
    }
}

#[test]
fn short_tasks_are_offered_ahead_and_long_ones_are_not() {
    let mut schedule = ready(PLAN);
    let offered = submitted(&mut schedule, 0..200, NO_WISH);
    assert_eq!(offered, [offer(A, 0), offer(B, 1)]);
    let answer = answered(A, 0, Duration::from_micros(10));
    let actions = told(&mut schedule, answer, AT_ONCE);
    let expected: Vec<_> = (2..13).map(|index| offer(A, index)).collect();
    assert_eq!(actions[0], resolve(0, End::Answered));
    assert_eq!(actions[1..], expected);
    let actions = told(&mut schedule, answered(B, 1, LONG), AT_ONCE);
    assert_eq!(actions, [resolve(1, End::Answered), offer(B, 13)]);
}

#[test]
fn nothing_is_offered_ahead_unless_the_plan_says_so() {
    let mut schedule = ready(Plan {
        ahead: false,
        ..PLAN
    });
    submitted(&mut schedule, 0..200, NO_WISH);
    let actions = told(&mut schedule, answered(A, 0, SHORT), AT_ONCE);
    assert_eq!(actions, [resolve(0, End::Answered), offer(A, 2)]);
}

#[test]
fn batch_is_shared_out_one_by_one() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, 0..2, NO_WISH);
    let answers = [answered(A, 0, SHORT), answered(B, 1, SHORT)];
    told_all(&mut schedule, answers, AT_ONCE);
    let offered = submitted(&mut schedule, 2..6, NO_WISH);
    assert_eq!(
        offered,
        [offer(A, 2), offer(B, 3), offer(A, 4), offer(B, 5)]
    );
    assert_eq!(schedule.place(task(4)), Some(Place::Offered(A)));
    assert_eq!(
        schedule.worker_tasks(B).collect::<Vec<_>>(),
        [task(3), task(5)]
    );
    assert_eq!(schedule.worker_tasks(worker(1, 1)).next(), None);
    told(&mut schedule, claimed(B, 3, AT_ONCE), AT_ONCE);
    assert_eq!(schedule.place(task(3)), Some(Place::Running(B)));
    assert_eq!((schedule.queued(), schedule.running()), (0, 2));
    assert_eq!(schedule.place(task(0)), None);
}

#[test]
fn idle_worker_gets_what_waits_at_another() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, 0..5, NO_WISH);
    // One has short tasks, and is offered all that waits.
    told(&mut schedule, answered(A, 0, SHORT), AT_ONCE);
    let actions = told(&mut schedule, answered(B, 1, LONG), AT_ONCE);
    assert_eq!(actions, [resolve(1, End::Answered), withdraw(A, 4)]);
    // One is enough.
    assert_eq!(stepped(&mut schedule, AT_ONCE), []);
    let actions = told(&mut schedule, withdrawn(A, 4), AT_ONCE);
    assert_eq!(actions, [offer(B, 4)]);
    // It keeps what it is about to begin.
    let actions = told(&mut schedule, answered(A, 2, SHORT), AT_ONCE);
    assert_eq!(actions, [resolve(2, End::Answered)]);
    let actions = told(&mut schedule, answered(B, 4, LONG), AT_ONCE);
    assert_eq!(actions, [resolve(4, End::Answered)]);
}

#[test]
fn no_worker_is_started_while_another_one_has_nothing_to_do() {
    let mut schedule = busy(PLAN, 0..3, NO_WISH);
    let resized = Event::Resized { least: 1, most: 3 };
    let claims = [claimed(A, 1, AT_ONCE), claimed(A, 2, AT_ONCE)];
    let events = claims.into_iter().chain([resized, Event::Ready(B)]);
    assert_eq!(told_all(&mut schedule, events, AT_ONCE), []);
    // The next task finds nobody.
    let actions = submitted(&mut schedule, 3..5, NO_WISH);
    assert_eq!(actions[0], offer(B, 3));
    assert_eq!(actions.last(), Some(&Action::Start(worker(2, 0))));
}

#[test]
fn worker_is_killed_for_its_own_task_alone() {
    let mut schedule = busy(ONE, 1..4, with_timeout(LONG, 9));
    assert_eq!(schedule.wake_at(), Some(LONG));
    let actions = told(&mut schedule, claimed(A, 1, AT_ONCE), LONG);
    assert_eq!(actions, [withdraw(A, 3), withdraw(A, 2)]);
    // It was quicker: the first has been done, and nobody is to blame.
    let events = [withdrawn(A, 3), claimed(A, 2, LONG)];
    assert_eq!(told_all(&mut schedule, events, LONG), [offer(A, 3)]);
    let actions = told(&mut schedule, answered(A, 1, LONG), LONG);
    assert_eq!(actions, [resolve(1, End::Answered)]);
    // The second is looked after as before.
    assert_eq!(schedule.wake_at(), Some(LONG * 2));
    let actions = stepped(&mut schedule, LONG * 2);
    assert_eq!(actions, [withdraw(A, 3)]);
    let actions = told(&mut schedule, withdrawn(A, 3), LONG * 2);
    assert_eq!(actions, [Action::Kill(A, Why::TimedOut)]);
    let actions = told(&mut schedule, gone(A), LONG * 2);
    let expected = [resolve(2, End::TimedOut(A)), Action::Start(worker(0, 1))];
    assert_eq!(actions, expected);
}

#[test]
fn timeout_counts_from_the_claim_and_costs_no_early_look() {
    let timeout = SLOW / 5;
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], with_timeout(timeout, 0));
    assert_eq!(schedule.wake_at(), Some(timeout));
    assert_eq!(stepped(&mut schedule, timeout / 2), []);
    // It has not begun; so it is looked at again one timeout later.
    assert_eq!(stepped(&mut schedule, timeout), [Action::Look(A)]);
    assert_eq!(schedule.wake_at(), Some(timeout * 2));
    assert_eq!(stepped(&mut schedule, timeout * 2), [Action::Look(A)]);
    let began = timeout * 3 / 2;
    assert_eq!(told(&mut schedule, claimed(A, 0, began), timeout * 2), []);
    let over = began + timeout;
    assert_eq!(schedule.wake_at(), Some(over));
    let actions = stepped(&mut schedule, over);
    assert_eq!(actions, [Action::Kill(A, Why::TimedOut)]);
    let actions = told(&mut schedule, gone(A), over);
    assert_eq!(actions[0], resolve(0, End::TimedOut(A)));
}

#[test]
fn no_timeout_makes_the_driver_look_all_the_time() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], with_timeout(Duration::ZERO, 0));
    assert_eq!(schedule.wake_at(), Some(Duration::from_millis(1)));
    let actions = told(&mut schedule, claimed(A, 0, AT_ONCE), AT_ONCE);
    assert_eq!(actions, [Action::Kill(A, Why::TimedOut)]);
    assert_eq!(schedule.wake_at(), None);
}

#[test]
fn timed_out_task_begins_again_if_its_wishes_allow_that() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], with_timeout(LONG, 1));
    told(&mut schedule, claimed(A, 0, AT_ONCE), AT_ONCE);
    let actions = stepped(&mut schedule, LONG);
    assert_eq!(actions, [Action::Kill(A, Why::TimedOut)]);
    let second = worker(0, 1);
    let actions = told(&mut schedule, gone_again(A), LONG);
    assert_eq!(actions, [Action::Start(second)]);
    let actions = told(&mut schedule, Event::Ready(second), LONG);
    assert_eq!(actions, [offer(second, 0)]);
    told(&mut schedule, claimed(second, 0, LONG), LONG);
    stepped(&mut schedule, LONG * 2);
    let actions = told(&mut schedule, gone_again(second), LONG * 2);
    assert_eq!(actions[0], resolve(0, End::TimedOut(second)));
}

#[test]
fn queued_task_is_cancelled() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, 0..4, NO_WISH);
    let actions = told(&mut schedule, cancelled(2, false), AT_ONCE);
    assert_eq!(actions, [resolve(2, End::Cancelled)]);
    assert_eq!((schedule.queued(), schedule.place(task(2))), (2, None));
    let actions = told(&mut schedule, answered(A, 0, SHORT), AT_ONCE);
    let expected = [resolve(0, End::Answered), offer(A, 1), offer(A, 3)];
    assert_eq!(actions, expected);
}

#[test]
fn offered_task_is_cancelled_unless_it_has_begun() {
    let mut schedule = busy(ONE, 0..3, NO_WISH);
    let events = [cancelled(1, false), cancelled(2, false)];
    let actions = told_all(&mut schedule, events, AT_ONCE);
    assert_eq!(actions, [withdraw(A, 2), withdraw(A, 1)]);
    let events = [
        answered(A, 0, SHORT),
        claimed(A, 1, AT_ONCE),
        withdrawn(A, 2),
    ];
    let actions = told_all(&mut schedule, events, AT_ONCE);
    let ends = [resolve(0, End::Answered), resolve(2, End::Cancelled)];
    assert_eq!(actions, ends);
    let actions = told(&mut schedule, answered(A, 1, SHORT), AT_ONCE);
    assert_eq!(actions, [resolve(1, End::Answered)]);
}

#[test]
fn running_task_is_cancelled_with_its_worker() {
    // Whether it was known to run or not.
    for is_known in [true, false] {
        let mut schedule = busy(ONE, 0..2, with_retries(9));
        let task = u32::from(!is_known);
        let actions = told(&mut schedule, cancelled(task, true), AT_ONCE);
        let mut events = vec![claimed(A, 1, AT_ONCE)];
        if is_known {
            assert_eq!(actions, [withdraw(A, 1)]);
            events = vec![withdrawn(A, 1)];
        } else {
            assert_eq!(actions, [withdraw(A, 1)]);
            events.insert(0, answered(A, 0, SHORT));
        }
        let actions = told_all(&mut schedule, events, AT_ONCE);
        let killed = Action::Kill(A, Why::Cancelled);
        assert_eq!(actions.last(), Some(&killed), "{is_known}");
        let actions = told(&mut schedule, gone_again(A), AT_ONCE);
        assert_eq!(actions[0], resolve(task, End::Killed(A)));
    }
}

#[test]
fn cancelled_task_does_not_begin_again() {
    let mut schedule = busy(ONE, 0..1, with_retries(9));
    assert_eq!(told(&mut schedule, cancelled(0, false), AT_ONCE), []);
    let actions = told(&mut schedule, failed(A, 0), AT_ONCE);
    assert_eq!(actions, [resolve(0, End::Answered)]);

    let mut schedule = busy(ONE, 0..1, with_retries(9));
    told(&mut schedule, cancelled(0, false), AT_ONCE);
    let actions = told(&mut schedule, gone_again(A), AT_ONCE);
    assert_eq!(actions[0], resolve(0, End::Lost(A)));
}

#[test]
fn failed_task_begins_again_before_the_others_as_often_as_it_may() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, 0..2, with_retries(2));
    assert_eq!(told(&mut schedule, failed(A, 0), AT_ONCE), [offer(A, 0)]);
    assert_eq!(told(&mut schedule, failed(A, 0), AT_ONCE), [offer(A, 0)]);
    let actions = told(&mut schedule, failed(A, 0), AT_ONCE);
    assert_eq!(actions, [resolve(0, End::Answered), offer(A, 1)]);
}

#[test]
fn retries_count_whatever_ended_the_times_before() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], with_retries(1));
    assert_eq!(told(&mut schedule, failed(A, 0), AT_ONCE), [offer(A, 0)]);
    told(&mut schedule, claimed(A, 0, AT_ONCE), AT_ONCE);
    let actions = told(&mut schedule, gone_again(A), AT_ONCE);
    assert_eq!(actions[0], resolve(0, End::Lost(A)));
}

#[test]
fn lost_task_does_not_begin_again_unasked() {
    let mut schedule = busy(ONE, 0..3, with_retries(9));
    let actions = told(&mut schedule, gone(A), AT_ONCE);
    let second = worker(0, 1);
    assert_eq!(actions, [resolve(0, End::Lost(A)), Action::Start(second)]);
    // The others do, in their order.
    assert_eq!(schedule.queued(), 2);
    let actions = told(&mut schedule, Event::Ready(second), AT_ONCE);
    assert_eq!(actions, [offer(second, 1)]);
}

#[test]
fn task_that_costs_its_workers_is_set_aside() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], with_retries(100));
    for cost in 1..=PLAN.poison_after {
        let lost = worker(0, cost - 1);
        // A failure of another kind costs no worker.
        let actions = told(&mut schedule, failed(lost, 0), AT_ONCE);
        assert_eq!(actions, [offer(lost, 0)]);
        told(&mut schedule, claimed(lost, 0, AT_ONCE), AT_ONCE);
        let actions = told(&mut schedule, gone_again(lost), AT_ONCE);
        if cost == PLAN.poison_after {
            assert_eq!(actions[0], resolve(0, End::Poisonous(lost)));
            return;
        }
        let next = worker(0, cost);
        assert_eq!(actions, [Action::Start(next)]);
        let actions = told(&mut schedule, Event::Ready(next), AT_ONCE);
        assert_eq!(actions, [offer(next, 0)]);
    }
}

/// Has every worker end that is started, until a task is resolved. Returns its end, how many
/// workers were started, the waits between them, and the time.
fn fail(
    schedule: &mut Schedule,
    mut now: Moment,
    event: impl Fn(WorkerId) -> Vec<Event>,
) -> (End, usize, Vec<Duration>, Moment) {
    let (mut count, mut waits) = (0, Vec::new());
    for _ in 0..1_000 {
        let actions = stepped(schedule, now);
        if actions.is_empty() {
            let at = schedule.wake_at().unwrap();
            waits.push(at.checked_sub(now).unwrap());
            now = at;
        }
        for action in actions {
            match action {
                Action::Start(worker) => {
                    count += 1;
                    for event in event(worker) {
                        schedule.tell(event, now);
                        schedule.step(now);
                    }
                }
                Action::Resolve(_, end) => return (end, count, waits, now),
                Action::Offer(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("nothing is given up");
}

const WAITS: [u64; 4] = [10, 20, 40, 80];

#[test]
fn waiting_tasks_fail_when_no_worker_starts_and_later_ones_try_again() {
    let mut schedule = Schedule::new(ONE);
    schedule.submit(task(0), NO_WISH, AT_ONCE);
    let (end, count, waits, now) = fail(&mut schedule, AT_ONCE, |worker| vec![gone(worker)]);
    assert_eq!((end, count), (End::NoWorkers, 5));
    assert_eq!(waits, WAITS.map(Duration::from_millis));
    // Nobody waits, so nothing is tried.
    assert_eq!(schedule.wake_at(), None);
    schedule.submit(task(1), NO_WISH, now);
    let at = now + Duration::from_millis(160);
    let just_before = at.checked_sub(Duration::from_nanos(1)).unwrap();
    let failed = [resolve(1, End::NoWorkers)];
    assert_eq!(stepped(&mut schedule, now), failed);
    schedule.submit(task(1), NO_WISH, just_before);
    assert_eq!(stepped(&mut schedule, just_before), failed);
    schedule.submit(task(1), NO_WISH, at);
    assert_eq!(stepped(&mut schedule, at), [Action::Start(worker(0, 5))]);
    // The wait has a limit.
    let mut now = at;
    for generation in 5..50 {
        told(&mut schedule, gone(worker(0, generation)), now);
        now += LONG * 5;
        schedule.submit(task(2), NO_WISH, now);
        let started = [Action::Start(worker(0, generation + 1))];
        assert_eq!(stepped(&mut schedule, now), started);
    }
    // When one has worked, all is as at first.
    let events = [
        Event::Ready(worker(0, 50)),
        answered(worker(0, 50), 2, LONG),
    ];
    for event in events {
        told(&mut schedule, event, now);
    }
    let actions = told(&mut schedule, gone(worker(0, 50)), now);
    assert_eq!(actions, [Action::Start(worker(0, 51))]);
}

#[test]
fn workers_that_fail_together_count_once() {
    let mut schedule = Schedule::new(Plan {
        least: 9,
        most: 9,
        ..PLAN
    });
    schedule.submit(task(0), NO_WISH, AT_ONCE);
    let (end, count, waits, _) = fail(&mut schedule, AT_ONCE, |worker| vec![gone(worker)]);
    assert_eq!((end, count), (End::NoWorkers, 45));
    assert_eq!(waits, WAITS.map(Duration::from_millis));
}

#[test]
fn workers_that_die_before_they_begin_a_task_are_not_restarted_at_once() {
    let mut schedule = Schedule::new(ONE);
    schedule.submit(task(0), NO_WISH, AT_ONCE);
    let (end, count, waits, _) = fail(&mut schedule, AT_ONCE, |worker| {
        vec![Event::Ready(worker), gone(worker)]
    });
    assert_eq!((end, count), (End::NoWorkers, 5));
    assert_eq!(waits, WAITS.map(Duration::from_millis));

    // One that has been there for long is replaced at once.
    let mut schedule = ready(ONE);
    let actions = told(&mut schedule, gone(A), LONG * 5);
    assert_eq!(actions, [Action::Start(worker(0, 1))]);
}

#[test]
fn workers_that_are_tired_before_they_begin_a_task_are_not_restarted_at_once() {
    let mut schedule = ready(ONE);
    let actions = told(&mut schedule, Event::Tired(A), AT_ONCE);
    assert_eq!(actions, [Action::Retire(A)]);
    assert_eq!(told(&mut schedule, gone(A), AT_ONCE), []);
    assert_eq!(schedule.wake_at(), Some(Duration::from_millis(10)));
}

#[test]
fn worker_that_cannot_be_started_is_not_tried_for_each_answer_of_another() {
    let mut schedule = Schedule::new(PLAN);
    submitted(&mut schedule, 0..9, NO_WISH);
    told_all(&mut schedule, [Event::Ready(A), gone(B)], AT_ONCE);
    let mut at = Duration::from_millis(10);
    for (index, wait) in (1..5).zip([10, 20, 40, 80]) {
        told(
            &mut schedule,
            answered(A, index - 1, LONG),
            at.checked_sub(Duration::from_millis(1)).unwrap(),
        );
        assert_eq!(schedule.wake_at(), Some(at));
        let second = worker(1, index);
        assert_eq!(stepped(&mut schedule, at), [Action::Start(second)]);
        assert_eq!(told(&mut schedule, gone(second), at), []);
        // The first answer has shown that workers can be started.
        at += Duration::from_millis(wait);
    }
}

#[test]
fn tired_worker_ends_when_it_has_answered() {
    let mut schedule = busy(ONE, 0..3, NO_WISH);
    let actions = told(&mut schedule, Event::Tired(A), AT_ONCE);
    assert_eq!(actions, [withdraw(A, 2), withdraw(A, 1)]);
    let events = [withdrawn(A, 2), withdrawn(A, 1)];
    assert_eq!(told_all(&mut schedule, events, AT_ONCE), []);
    let actions = told(&mut schedule, answered(A, 0, SHORT), AT_ONCE);
    assert_eq!(actions, [resolve(0, End::Answered), Action::Retire(A)]);
    let second = worker(0, 1);
    let actions = told(&mut schedule, gone(A), AT_ONCE);
    assert_eq!(actions, [Action::Start(second)]);
    let actions = told(&mut schedule, Event::Ready(second), AT_ONCE);
    assert_eq!(actions, [offer(second, 1)]);
}

#[test]
fn worker_is_replaced_after_its_number_of_tasks() {
    let mut schedule = ready(Plan {
        tasks_per_worker: Some(2),
        ..ONE
    });
    submitted(&mut schedule, 0..4, NO_WISH);
    let actions = told(&mut schedule, answered(A, 0, SHORT), AT_ONCE);
    // No more is offered to it than it may answer.
    assert_eq!(actions, [resolve(0, End::Answered), offer(A, 1)]);
    let actions = told(&mut schedule, answered(A, 1, SHORT), AT_ONCE);
    assert_eq!(actions, [resolve(1, End::Answered), Action::Retire(A)]);
    let actions = told(&mut schedule, gone(A), AT_ONCE);
    assert_eq!(actions, [Action::Start(worker(0, 1))]);
}

#[test]
fn old_worker_is_replaced_when_it_has_answered() {
    let mut schedule = ready(Plan {
        max_age: Some(LONG),
        ..PLAN
    });
    submitted(&mut schedule, [0], NO_WISH);
    told(&mut schedule, claimed(A, 0, AT_ONCE), AT_ONCE);
    assert_eq!(schedule.wake_at(), Some(LONG));
    assert_eq!(stepped(&mut schedule, LONG), [Action::Retire(B)]);
    assert_eq!(schedule.wake_at(), None);
    let actions = told(&mut schedule, answered(A, 0, LONG), LONG * 2);
    assert_eq!(actions, [resolve(0, End::Answered), Action::Retire(A)]);
    let events = [gone(A), gone(B)];
    let actions = told_all(&mut schedule, events, LONG * 2);
    let expected = [worker(0, 1), worker(1, 1)].map(Action::Start);
    assert_eq!(actions, expected);
}

#[test]
fn worker_that_becomes_old_while_it_is_to_be_killed_is_replaced_if_it_is_spared() {
    let plan = Plan {
        max_age: Some(LONG),
        ..ONE
    };
    let mut schedule = busy(plan, 1..3, with_timeout(LONG, 0));
    assert_eq!(stepped(&mut schedule, LONG), [withdraw(A, 2)]);
    let events = [answered(A, 1, LONG), claimed(A, 2, LONG)];
    let actions = told_all(&mut schedule, events, LONG);
    assert_eq!(actions, [resolve(1, End::Answered)]);
    let actions = told(&mut schedule, answered(A, 2, SHORT), LONG);
    assert_eq!(actions, [resolve(2, End::Answered), Action::Retire(A)]);
}

#[test]
fn worker_has_the_time_to_begin_a_task_however_soon_it_is_old() {
    let mut schedule = Schedule::new(Plan {
        max_age: Some(Duration::ZERO),
        ..ONE
    });
    schedule.submit(task(0), NO_WISH, AT_ONCE);
    stepped(&mut schedule, AT_ONCE);
    let actions = told(&mut schedule, Event::Ready(A), LONG);
    assert_eq!(actions, [offer(A, 0)]);
}

#[test]
fn idle_workers_above_the_least_number_are_let_go() {
    let plan = Plan {
        least: 1,
        idle_timeout: Some(LONG),
        ..PLAN
    };
    let mut schedule = ready(plan);
    assert_eq!(schedule.wake_at(), None);
    let actions = submitted(&mut schedule, 0..2, NO_WISH);
    assert_eq!(actions, [offer(A, 0), Action::Start(B)]);
    told(&mut schedule, Event::Ready(B), AT_ONCE);
    told(&mut schedule, answered(A, 0, LONG), AT_ONCE);
    told(&mut schedule, answered(B, 1, LONG), LONG / 2);
    assert_eq!(schedule.wake_at(), Some(LONG));
    assert_eq!(stepped(&mut schedule, LONG), [Action::Retire(A)]);
    assert_eq!(told(&mut schedule, gone(A), LONG * 9), []);
    assert_eq!(schedule.wake_at(), None);
}

#[test]
fn no_more_idle_workers_are_let_go_than_there_are_above_the_least_number() {
    let mut schedule = ready(Plan {
        least: 3,
        most: 3,
        idle_timeout: Some(LONG),
        ..PLAN
    });
    assert_eq!(schedule.wake_at(), None);
    assert_eq!(stepped(&mut schedule, LONG * 2), []);
    let resized = Event::Resized { least: 2, most: 3 };
    // The indices that stay are the low ones.
    let actions = told(&mut schedule, resized, LONG * 2);
    assert_eq!(actions, [Action::Retire(worker(2, 0))]);
    assert_eq!(told(&mut schedule, gone(worker(2, 0)), LONG * 3), []);
}

#[test]
fn workers_above_a_lowered_number_go_and_the_lowest_index_comes_back() {
    let mut schedule = ready(Plan {
        least: 4,
        most: 4,
        ..PLAN
    });
    submitted(&mut schedule, 0..4, NO_WISH);
    told(&mut schedule, answered(worker(2, 0), 2, LONG), AT_ONCE);
    let resized = Event::Resized { least: 1, most: 2 };
    let actions = told(&mut schedule, resized, AT_ONCE);
    assert_eq!(
        actions,
        [Action::Retire(worker(2, 0)), withdraw(worker(3, 0), 3)]
    );
    let events = [gone(A), claimed(worker(3, 0), 3, AT_ONCE)];
    let actions = told_all(&mut schedule, events, AT_ONCE);
    assert_eq!(actions, [] as [Action; 0]);
    let actions = told(&mut schedule, answered(worker(3, 0), 3, LONG), AT_ONCE);
    assert_eq!(
        actions,
        [resolve(3, End::Answered), Action::Retire(worker(3, 0))]
    );
    // A task that waits for the first worker gets its successor.
    let at = schedule.wake_at().unwrap();
    assert_eq!(stepped(&mut schedule, at), [Action::Start(worker(0, 1))]);
}

#[test]
fn closed_pool_ends_when_all_is_done() {
    let mut schedule = busy(ONE, 0..2, NO_WISH);
    assert_eq!(told(&mut schedule, Event::Closed, AT_ONCE), []);
    let actions = submitted(&mut schedule, [7], NO_WISH);
    assert_eq!(actions, [resolve(7, End::Stopped)]);
    let events = [answered(A, 0, SHORT), answered(A, 1, SHORT)];
    let actions = told_all(&mut schedule, events, AT_ONCE);
    let ends = [resolve(0, End::Answered), resolve(1, End::Answered)];
    assert_eq!(actions[..2], ends);
    assert_eq!(actions[2..], [Action::Retire(A)]);
    assert!(!schedule.is_over());
    assert_eq!(told(&mut schedule, gone(A), AT_ONCE), []);
    assert!(schedule.is_over());
}

#[test]
fn stopped_pool_kills_all() {
    let mut schedule = busy(PLAN, 0..3, with_retries(9));
    let actions = told(&mut schedule, Event::Stopped, AT_ONCE);
    let killed = [A, B].map(|worker| Action::Kill(worker, Why::Stopped));
    assert_eq!(actions, killed);
    let actions = told(&mut schedule, gone_again(A), AT_ONCE);
    let ends = [
        resolve(2, End::Stopped),
        resolve(1, End::Stopped),
        resolve(0, End::Killed(A)),
    ];
    assert_eq!(actions, ends);
    assert!(!schedule.is_over());
    assert_eq!(told(&mut schedule, gone(B), AT_ONCE), []);
    assert!(schedule.is_over());
}

#[test]
fn queued_task_is_stopped() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, 0..2, NO_WISH);
    let actions = told(&mut schedule, Event::Stopped, AT_ONCE);
    let expected = [resolve(1, End::Stopped), Action::Kill(A, Why::Stopped)];
    assert_eq!(actions, expected);
    let actions = told(&mut schedule, failed(A, 0), AT_ONCE);
    assert_eq!(actions, [resolve(0, End::Answered)]);
}

/// Has a worker looked at that has claimed nothing, and found that it has not.
fn look_in_vain(schedule: &mut Schedule, worker: WorkerId, now: Moment) -> Vec<Action> {
    assert_eq!(schedule.wake_at(), Some(now));
    assert_eq!(stepped(schedule, now), [Action::Look(worker)]);
    assert_eq!(schedule.wake_at(), Some(now));
    stepped(schedule, now)
}

#[test]
fn idle_worker_gets_what_a_slow_one_does_not_claim() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, [0], NO_WISH);
    assert_eq!(stepped(&mut schedule, SLOW / 2), []);
    let actions = look_in_vain(&mut schedule, A, SLOW);
    assert_eq!(actions, [withdraw(A, 0)]);
    let actions = told(&mut schedule, withdrawn(A, 0), SLOW);
    assert_eq!(actions, [offer(B, 0)]);
    let actions = told(&mut schedule, answered(B, 0, LONG), SLOW);
    assert_eq!(actions, [resolve(0, End::Answered)]);
    assert_eq!(schedule.wake_at(), None);
    // The other one is preferred now.
    let actions = submitted(&mut schedule, 1..4, NO_WISH);
    assert_eq!(actions, [offer(B, 1), offer(A, 2)]);
    // It gets the task of the slow one as soon as it has nothing else to do.
    let actions = told(&mut schedule, answered(B, 1, LONG), AT_ONCE);
    assert_eq!(actions, [resolve(1, End::Answered), offer(B, 3)]);
    let actions = told(&mut schedule, answered(B, 3, LONG), AT_ONCE);
    assert_eq!(actions, [resolve(3, End::Answered), withdraw(A, 2)]);
    // If the slow one has begun it, it is a usual one again.
    let actions = told(&mut schedule, claimed(A, 2, AT_ONCE), AT_ONCE);
    assert_eq!(actions, []);
    told(&mut schedule, answered(A, 2, LONG), AT_ONCE);
    assert_eq!(submitted(&mut schedule, [4], NO_WISH), [offer(A, 4)]);
}

#[test]
fn slow_worker_is_offered_one_task_if_there_is_no_other() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [99], NO_WISH);
    told(&mut schedule, answered(A, 99, SHORT), AT_ONCE);
    let offers: Vec<_> = (0..3).map(|index| offer(A, index)).collect();
    assert_eq!(submitted(&mut schedule, 0..3, NO_WISH), offers);
    let actions = look_in_vain(&mut schedule, A, SLOW);
    assert_eq!(actions, [withdraw(A, 2), withdraw(A, 1), withdraw(A, 0)]);
    let events = [2, 1, 0].map(|index| withdrawn(A, index));
    let actions = told_all(&mut schedule, events, SLOW);
    assert_eq!(actions, [offer(A, 0)]);
    // It goes on: all is as before.
    let actions = told(&mut schedule, answered(A, 0, SHORT), SLOW);
    assert_eq!(
        actions,
        [resolve(0, End::Answered), offer(A, 1), offer(A, 2)]
    );
    assert_eq!(schedule.wake_at(), Some(SLOW * 2));
}

#[test]
fn worker_that_is_found_at_work_keeps_its_tasks() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, [0], NO_WISH);
    assert_eq!(stepped(&mut schedule, SLOW), [Action::Look(A)]);
    assert_eq!(told(&mut schedule, claimed(A, 0, AT_ONCE), SLOW), []);
    assert_eq!(schedule.wake_at(), None);
    // What is behind the task counts from its end.
    let mut schedule = busy(ONE, 0..2, NO_WISH);
    assert_eq!(schedule.wake_at(), None);
    told(&mut schedule, answered(A, 0, LONG), LONG);
    assert_eq!(schedule.wake_at(), Some(LONG + SLOW));
    let tired = told(&mut schedule, Event::Tired(A), LONG);
    assert_eq!(tired, [withdraw(A, 1)]);
    assert_eq!(schedule.wake_at(), None);
}

#[test]
fn another_worker_is_started_in_place_of_a_slow_one() {
    let plan = Plan {
        least: 1,
        idle_timeout: Some(LONG),
        ..PLAN
    };
    let mut schedule = ready(plan);
    submitted(&mut schedule, [0], NO_WISH);
    let actions = look_in_vain(&mut schedule, A, SLOW);
    assert_eq!(actions, [withdraw(A, 0), Action::Start(B)]);
    let actions = told(&mut schedule, withdrawn(A, 0), SLOW);
    assert_eq!(actions, [offer(A, 0)]);
    let actions = told(&mut schedule, Event::Ready(B), SLOW);
    assert_eq!(actions, [withdraw(A, 0)]);
    let actions = told(&mut schedule, withdrawn(A, 0), SLOW);
    assert_eq!(actions, [offer(B, 0)]);
    told(&mut schedule, answered(B, 0, LONG), SLOW);
    // One of them is too many, and that is the slow one.
    assert_eq!(schedule.wake_at(), Some(SLOW + LONG));
    let actions = stepped(&mut schedule, SLOW + LONG);
    assert_eq!(actions, [Action::Retire(A)]);
    assert_eq!(schedule.wake_at(), None);
}

#[test]
fn worker_with_room_gets_what_a_slow_one_has_had_for_long() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, 0..2, NO_WISH);
    told(&mut schedule, claimed(B, 1, AT_ONCE), AT_ONCE);
    assert_eq!(look_in_vain(&mut schedule, A, SLOW), [withdraw(A, 0)]);
    let actions = told(&mut schedule, withdrawn(A, 0), SLOW);
    assert_eq!(actions, [offer(A, 0)]);
    assert_eq!(look_in_vain(&mut schedule, A, SLOW * 2), []);
    schedule.submit(task(2), NO_WISH, SLOW * 2);
    // It comes before the task that waits.
    let actions = told(&mut schedule, answered(B, 1, SHORT), SLOW * 2);
    assert_eq!(actions, [resolve(1, End::Answered), withdraw(A, 0)]);
    let actions = told(&mut schedule, withdrawn(A, 0), SLOW * 2);
    assert_eq!(actions, [offer(B, 0), offer(B, 2)]);
}

/// A pool of one worker that has claimed nothing for so long that it is killed unless it has.
fn unresponsive(schedule: &mut Schedule, worker: WorkerId, since: Moment) -> Moment {
    let actions = look_in_vain(schedule, worker, since + SLOW);
    assert_eq!(actions, [withdraw(worker, 0)]);
    let actions = told(schedule, withdrawn(worker, 0), since + SLOW);
    assert_eq!(actions, [offer(worker, 0)]);
    assert_eq!(look_in_vain(schedule, worker, since + SLOW * 2), []);
    let at = since + UNRESPONSIVE;
    assert_eq!(schedule.wake_at(), Some(at));
    assert_eq!(stepped(schedule, at), [withdraw(worker, 0)]);
    at
}

/// Has such a worker killed. Returns what follows from its end.
fn kill_unresponsive(schedule: &mut Schedule, worker: WorkerId, since: Moment) -> Vec<Action> {
    let at = unresponsive(schedule, worker, since);
    let actions = told(schedule, withdrawn(worker, 0), at);
    assert_eq!(actions, [Action::Kill(worker, Why::Unresponsive)]);
    told(schedule, gone(worker), at)
}

#[test]
fn worker_that_claims_nothing_is_replaced_and_its_task_waits() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], NO_WISH);
    let actions = kill_unresponsive(&mut schedule, A, AT_ONCE);
    // It was no failed start.
    let second = worker(0, 1);
    assert_eq!(actions, [Action::Start(second)]);
    let actions = told(&mut schedule, Event::Ready(second), UNRESPONSIVE);
    assert_eq!(actions, [offer(second, 0)]);
}

#[test]
fn worker_that_claims_a_task_before_it_is_killed_is_spared() {
    for event in [claimed(A, 0, AT_ONCE), answered(A, 0, LONG)] {
        let mut schedule = ready(ONE);
        submitted(&mut schedule, [0], NO_WISH);
        let at = unresponsive(&mut schedule, A, AT_ONCE);
        told(&mut schedule, event, at);
        assert_eq!(schedule.wake_at(), None);
        told(&mut schedule, answered(A, 0, LONG), at);
        assert_eq!(submitted(&mut schedule, [1], NO_WISH), [offer(A, 1)]);
    }
}

#[test]
fn workers_that_claim_nothing_one_after_the_other_are_not_restarted_at_once() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], NO_WISH);
    kill_unresponsive(&mut schedule, A, AT_ONCE);
    let mut now = UNRESPONSIVE;
    for (count, wait) in (1..).zip([10, 20, 40, 80].map(Duration::from_millis)) {
        let next = worker(0, count);
        told(&mut schedule, Event::Ready(next), now);
        assert_eq!(kill_unresponsive(&mut schedule, next, now), []);
        now += UNRESPONSIVE + wait;
        assert_eq!(schedule.wake_at(), Some(now));
        let started = stepped(&mut schedule, now);
        assert_eq!(started, [Action::Start(worker(0, count + 1))]);
    }
    let last = worker(0, 5);
    told(&mut schedule, Event::Ready(last), now);
    let actions = kill_unresponsive(&mut schedule, last, now);
    assert_eq!(actions, [resolve(0, End::NoWorkers)]);
}

#[test]
fn claim_shows_that_workers_can_be_started_after_those_that_claimed_nothing() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], NO_WISH);
    kill_unresponsive(&mut schedule, A, AT_ONCE);
    let (second, now) = (worker(0, 1), UNRESPONSIVE);
    told(&mut schedule, Event::Ready(second), now);
    told(&mut schedule, failed(second, 0), now);
    schedule.submit(task(0), NO_WISH, now);
    stepped(&mut schedule, now);
    let actions = kill_unresponsive(&mut schedule, second, now);
    assert_eq!(actions, [Action::Start(worker(0, 2))]);
}

#[test]
fn workers_that_are_stopped_together_are_no_failures() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, 0..2, NO_WISH);
    let steps = [SLOW, SLOW, SLOW * 2, SLOW * 2, UNRESPONSIVE];
    let mut killed = Vec::new();
    for now in steps {
        let mut actions = stepped(&mut schedule, now);
        while !actions.is_empty() {
            for action in actions.drain(..) {
                match action {
                    Action::Withdraw(worker, task) => {
                        schedule.tell(Event::Withdrawn { worker, task }, now);
                    }
                    Action::Kill(worker, why) => killed.push((worker, why)),
                    _ => {}
                }
            }
            actions = stepped(&mut schedule, now);
        }
    }
    assert_eq!(killed, [A, B].map(|worker| (worker, Why::Unresponsive)));
    for (lost, _) in killed {
        let next = worker(lost.index, 1);
        let actions = told(&mut schedule, gone(lost), UNRESPONSIVE);
        assert_eq!(actions, [Action::Start(next)]);
    }
}

#[test]
fn driver_that_was_stopped_itself_blames_nobody() {
    let mut schedule = ready(ONE);
    submitted(&mut schedule, [0], NO_WISH);
    let late = UNRESPONSIVE * 9;
    assert_eq!(stepped(&mut schedule, late), []);
    assert_eq!(schedule.wake_at(), Some(late + SLOW));
    assert_eq!(
        look_in_vain(&mut schedule, A, late + SLOW),
        [withdraw(A, 0)]
    );
}

#[test]
fn worker_keeps_only_what_it_runs_while_another_one_is_idle() {
    let mut schedule = busy(PLAN, 0..2, NO_WISH);
    // The first has one task that runs and one that does not.
    let actions = told(&mut schedule, Event::Ready(B), AT_ONCE);
    assert_eq!(actions, [withdraw(A, 1)]);
    let actions = told(&mut schedule, withdrawn(A, 1), AT_ONCE);
    assert_eq!(actions, [offer(B, 1)]);
    assert_eq!(schedule.wake_at(), Some(SLOW));
}

#[test]
fn room_follows_the_workers() {
    let mut schedule = Schedule::new(PLAN);
    assert_eq!(schedule.room(), 1);
    stepped(&mut schedule, AT_ONCE);
    assert_eq!(schedule.room(), 4);
    submitted(&mut schedule, 0..3, NO_WISH);
    assert_eq!(schedule.room(), 1);
    submitted(&mut schedule, 3..5, NO_WISH);
    assert_eq!(schedule.room(), 0);
    told_all(&mut schedule, [Event::Ready(A), Event::Ready(B)], AT_ONCE);
    let answer = answered(A, 0, Duration::from_micros(10));
    told(&mut schedule, answer, AT_ONCE);
    assert_eq!((schedule.queued(), schedule.room()), (0, 2 * 12 - 4));
}

#[test]
fn events_about_what_is_gone_are_ignored() {
    let mut schedule = ready(PLAN);
    submitted(&mut schedule, 0..2, NO_WISH);
    told(&mut schedule, gone(B), LONG * 9);
    let other = TaskId { index: 0, turn: 8 };
    let events = [
        Event::Cancelled {
            task: other,
            running: true,
        },
        Event::Claimed {
            worker: A,
            task: other,
            began: AT_ONCE,
        },
        cancelled(70, true),
        answered(worker(0, 1), 0, LONG),
        answered(worker(70, 0), 0, LONG),
        answered(B, 0, LONG),
        answered(A, 1, LONG),
        withdrawn(A, 0),
        Event::Ready(A),
        Event::Ready(B),
        Event::Tired(B),
        gone(B),
        gone(worker(0, 1)),
    ];
    assert_eq!(told_all(&mut schedule, events, LONG * 9), []);
    assert_eq!(schedule.place(task(0)), Some(Place::Offered(A)));
    assert_eq!(schedule.place(task(1)), Some(Place::Queued));
}

/// Measures what a task costs that is submitted, offered, answered and resolved: a hundred times a
/// hundred thousand of them in batches, while each lane is full and some tasks wait. Run it with
/// `--ignored --nocapture`, built with optimisation.
#[test]
#[ignore = "it measures"]
fn measure() {
    let timeouts = [None, Some(LONG)].map(|timeout| Wish {
        timeout,
        retries: 0,
    });
    for (workers, batch) in [(2, 64), (2, 1), (64, 64), (64, 1)] {
        let each = timeouts.map(|wish| {
            let best = (0..100)
                .map(|_| work_through(workers, batch, wish))
                .min()
                .unwrap();
            best.as_nanos() / u128::from(COUNT)
        });
        let [plain, timed] = each;
        println!(
            "{workers} workers, batches of {batch}: {plain} ns a task, with a timeout {timed}"
        );
    }
}

const COUNT: u32 = 100_000;

/// Returns how long the tasks take.
fn work_through(workers: u32, batch: u32, wish: Wish) -> Duration {
    let workers = workers as usize;
    let mut schedule = ready(Plan {
        least: workers,
        most: workers,
        ..PLAN
    });
    let mut free: Vec<u32> = (0..u32::try_from(workers * 129 + 512).unwrap()).collect();
    let mut lanes = VecDeque::new();
    let mut count = free.len();
    let begun = Instant::now();
    for turn in 0..COUNT / batch {
        let now = Duration::from_nanos(100) * batch * turn;
        for (worker, task) in lanes.drain(..lanes.len().min(batch as usize)) {
            let event = Event::Answered {
                worker,
                task,
                took: Duration::from_nanos(100),
                again: false,
            };
            schedule.tell(event, now);
        }
        for index in free.drain(free.len() - count.min(free.len())..) {
            schedule.submit(TaskId { index, turn }, wish, now);
        }
        count = batch as usize;
        schedule.step(now);
        for action in schedule.actions() {
            match action {
                Action::Offer(worker, task) => lanes.push_back((worker, task)),
                Action::Resolve(task, _) => free.push(task.index),
                other => panic!("{other:?}"),
            }
        }
    }
    begun.elapsed()
}
