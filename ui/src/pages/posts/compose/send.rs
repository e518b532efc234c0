//! When it goes out, and the one button that says so.
//!
//! Owns saving. Invariant: the post is saved first and acted on second; when the second step is refused, the draft is there
//! and the next try changes it.

use so_model::api::post::{ChangePost, CreatePost, PostScheduled, QueuePost, SchedulePost};
use so_model::api::queue::QueueView;
use so_model::post::Post;
use so_model::problem::{FieldError, Problem};
use sycamore::prelude::*;

use super::form::Form;
use crate::act::Act;
use crate::app::App;
use crate::client::Done;
use crate::components::{
    Button, Choice, Glyph, Kind, Segment, SelectField, TextField, workspace_zone,
};
use crate::loaded::Loaded;
use crate::pages::queues;
use crate::routes::Route;
use crate::when::{self, Resolved};

/// What the button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Draft,
    At,
    Queue,
    Now,
    Submit,
}

impl Plan {
    fn verb(self) -> &'static str {
        match self {
            Plan::Draft => "Save",
            Plan::At => "Schedule",
            Plan::Queue => "Add to queue",
            Plan::Now => "Publish now",
            Plan::Submit => "Send for approval",
        }
    }
}

/// The bar at the foot of the form.
#[component(inline_props)]
pub fn Foot(form: Form, act: Act) -> View {
    let app = App::here();
    let plan = create_signal(Plan::Draft);
    let zone = workspace_zone();
    let at = create_signal(first_time(form, &zone));
    let queue = create_signal(String::new());
    let known = Loaded::new(move || queues::all(app));
    let sent_zone = zone.clone();
    let send = move || {
        let step = Step {
            plan: plan.get_untracked(),
            at: at.get_clone_untracked(),
            zone: sent_zone.clone(),
            queue: queue.get_clone_untracked(),
        };
        run(app, form, act, step);
    };
    let detail = move || match plan.get() {
        Plan::At => when_field(at, zone.clone(), act),
        Plan::Queue => known.view(move |queues| queue_field(queues, queue, act)),
        Plan::Now => view! { p(class="hint") { "It goes out as soon as the button is pressed." } },
        Plan::Submit => {
            view! { p(class="hint") { "An admin or owner approves it before it can go out." } }
        }
        Plan::Draft => view! { p(class="hint") { "Kept as a draft. Nothing goes out." } },
    };
    let verb = move || std::borrow::Cow::Borrowed(plan.get().verb());
    view! {
        section(class="panel foot") {
            h2 { "When" }
            Segment(label="When", value=plan, choices=plans(app))
            (detail)
            (act.notice(&["/content/text", "/at", "/queue"]))
            div(class="form-actions") { Button(label=verb, kind=Kind::Primary, busy=act.busy, on_press=send) }
        }
    }
}

/// The choices; where posts need an approval, asking for it is one.
fn plans(app: App) -> Vec<(Plan, Glyph, &'static str)> {
    let needs_approval =
        untrack(|| app.workspace()).is_some_and(|one| one.workspace.approval_required);
    let mut plans = vec![
        (Plan::Draft, Glyph::Pencil, "Draft"),
        (Plan::At, Glyph::CalendarClock, "At a time"),
        (Plan::Queue, Glyph::List, "Queue"),
        (Plan::Now, Glyph::Send, "Now"),
    ];
    if needs_approval {
        plans.push((Plan::Submit, Glyph::Hourglass, "Approval"));
    }
    plans
}

/// The time it has, or the next full hour.
fn first_time(form: Form, zone: &str) -> String {
    let due = form
        .saved
        .with_untracked(|post| post.as_ref().and_then(|post| post.due_at));
    let hour = so_model::time::HOUR;
    let next = so_model::time::Timestamp::from_micros((when::now().micros() / hour + 1) * hour);
    when::input_value(due.unwrap_or(next), zone)
}

/// A local time with what it comes to, said at once.
pub fn when_field(at: Signal<String>, zone: String, act: Act) -> View {
    let label = format!("Time in {}", when::city(&zone));
    let words = move || at.with(|at| told(at, &zone));
    view! {
        TextField(label=label, kind="datetime-local", value=at, error=act.error("/at"))
        p(class="hint", aria-live="polite") { (words) }
    }
}

/// "Tue 24 Nov, 09:00 Berlin, in 2 h", or what is odd about the time.
fn told(at: &str, zone: &str) -> String {
    match when::resolve(at, zone) {
        None => "Choose a day and a time.".into(),
        Some(Resolved::Exact(at)) => {
            let distance = when::distance(at, when::now());
            format!("{}, {distance}.", when::words(at, zone))
        }
        Some(Resolved::Twice(first, _)) => format!(
            "Clocks go back over this time, so it comes twice. The first is meant: {} UTC.",
            when::short(first, "UTC")
        ),
        Some(Resolved::Never) => "Clocks go forward over this time, so it does not come that day. The server says which moment it takes instead.".into(),
    }
}

fn queue_field(queues: Vec<QueueView>, queue: Signal<String>, act: Act) -> View {
    if queues.is_empty() {
        return view! { p(class="muted") { "No queues yet. " a(href=Route::Queues.path()) { "Make one" } } };
    }
    if queue.with_untracked(String::is_empty) {
        queue.set(queues[0].id.to_string());
    }
    let choices: Vec<Choice> = queues
        .into_iter()
        .map(|one| Choice::new(one.id.to_string(), one.name))
        .collect();
    view! { SelectField(label="Queue", value=queue, choices=choices, hint="It takes the next free slot.", error=act.error("/queue")) }
}

struct Step {
    plan: Plan,
    at: String,
    zone: String,
    queue: String,
}

fn run(app: App, form: Form, act: Act, step: Step) {
    if let Some(problem) = missing(form, &step) {
        act.refuse(problem);
        return;
    }
    let call = async move {
        let post = save(app, form).await?;
        form.saved.set(Some(post.clone()));
        carry_out(app, &post, step).await.map(|words| (post, words))
    };
    act.run(call, move |(post, words)| {
        app.toasts.done(words);
        app.router.hold(None);
        app.router.go(Route::Post(post.id));
    });
}

fn missing(form: Form, step: &Step) -> Option<Problem> {
    let refuse = |pointer: &str, reason: &str| {
        Problem::new(0, "client.form", "Something is missing")
            .with_errors(vec![FieldError::new(pointer, reason)])
    };
    if step.plan == Plan::At && step.at.is_empty() {
        return Some(refuse("/at", "choose a day and a time"));
    }
    if step.plan == Plan::Queue && step.queue.is_empty() {
        return Some(refuse("/queue", "choose a queue"));
    }
    let goes_out = step.plan != Plan::Draft;
    if goes_out && form.targets.with_untracked(Vec::is_empty) && step.plan != Plan::Queue {
        return Some(Problem::new(
            0,
            "client.form",
            "Choose at least one account",
        ));
    }
    None
}

async fn save(app: App, form: Form) -> Result<Post, Problem> {
    let (content, variants, labels) =
        untrack(|| (form.content(), form.variants(), form.labels.get_clone()));
    match form.saved.get_clone_untracked() {
        None => {
            let body = CreatePost {
                content,
                variants,
                labels,
                evergreen: None,
                recurrence: None,
            };
            app.client.post(&app.scoped("/posts"), &body).await
        }
        Some(_) if !untrack(|| form.is_changed()) => form
            .saved
            .get_clone_untracked()
            .ok_or_else(|| Problem::new(0, "client.form", "Nothing to save")),
        Some(post) => {
            let body = ChangePost {
                revision: Some(post.revision),
                content: Some(content),
                variants: Some(variants),
                labels: Some(labels),
                evergreen: None,
            };
            app.client
                .patch(&app.scoped(&format!("/posts/{}", post.id)), &body)
                .await
        }
    }
}

/// Does what the plan says and tells what came of it.
async fn carry_out(app: App, post: &Post, step: Step) -> Result<String, Problem> {
    let path = |what: &str| app.scoped(&format!("/posts/{}{what}", post.id));
    match step.plan {
        Plan::Draft => Ok("Saved".into()),
        Plan::At => {
            let body = SchedulePost {
                at: step.at,
                zone: Some(step.zone),
            };
            let done: PostScheduled = app.client.post(&path("/schedule"), &body).await?;
            Ok(scheduled_words(&done))
        }
        Plan::Queue => {
            let queue = step
                .queue
                .parse()
                .map_err(|_| Problem::new(0, "client.form", "Choose a queue"))?;
            let done: PostScheduled = app
                .client
                .post(&path("/queue"), &QueuePost { queue })
                .await?;
            Ok(scheduled_words(&done))
        }
        Plan::Now => {
            app.client.press::<Done>(&path("/publish-now")).await?;
            Ok("It goes out now".into())
        }
        Plan::Submit => {
            app.client.press::<Done>(&path("/submit")).await?;
            Ok("Sent for approval".into())
        }
    }
}

/// The moment as the server took it, with its decision where clocks change.
pub fn scheduled_words(done: &PostScheduled) -> String {
    let moment = when::words(done.at, &done.zone);
    match done.explanation.is_empty() {
        true => format!("Scheduled for {moment}"),
        false => format!("Scheduled for {moment}. {}", done.explanation),
    }
}
