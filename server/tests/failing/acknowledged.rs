//! What was answered with success is there after any crash, with its one effect.

use std::time::Duration;

use so_testkit::product::wait_for;

use crate::{
    book,
    desk::{Desk, PASSWORD, text},
    ground::{Database, Ground},
    load::{Callers, Site, Writers},
};

const DRAFTS: &str = r#"
version: 1
name: Calls become drafts
triggers:
  - {id: call, kind: webhook.received}
steps:
  - id: create
    action: post.create
    with: {text: "{{ event.data.body.text }}"}
"#;
/// Deliveries of one event.
const STORM: usize = 100;
/// Clients of each kind.
const CLIENTS: usize = 2;
/// Promises between two kills: so many and a few more, so that kills come at different moments.
const PROMISES: usize = 8;
const PROMISES_SPREAD: usize = 13;
/// Promises come within a second; a machine with all cores taken needs far more.
const PROGRESS: Duration = Duration::from_secs(240);

/// Kills the server so often under load, and looks.
pub fn run(ground: &Ground, database: Database, kills: usize) {
    let url = match database {
        Database::Sqlite => None,
        Database::Postgres => match ground.database("acknowledged") {
            Some(url) => Some(url),
            None => return,
        },
    };
    let world = ground.world_for(kills * (PROMISES + PROMISES_SPREAD));
    let mut product = world.product(url.as_deref());
    product.start_again();
    let desk = Desk::register(&product, "promised");
    let (hook, rule) = (desk.hook(&product), desk.rule(&product, DRAFTS));
    let accounts = world.connect(&desk, &product);
    let site = Site::at(&product);
    let callers = Callers::new(&site, hook);
    let writers = Writers::new(&site, "promised", accounts);
    std::thread::scope(|scope| {
        let _end = site.ending();
        let storm: Vec<_> = (0..STORM)
            .map(|_| scope.spawn(|| callers.deliver("storm")))
            .collect();
        for _ in 0..CLIENTS {
            scope.spawn(|| callers.run(|_| ()));
            scope.spawn(|| writers.run());
        }
        for kill in 0..kills {
            let before = callers.count() + writers.count();
            let wanted = before + PROMISES + kill * 5 % PROMISES_SPREAD;
            wait_for("promises", PROGRESS, || {
                (callers.count() + writers.count() >= wanted).then_some(())
            });
            product.kill();
            product.start_again();
            site.moved(&product);
        }
        for one in storm {
            one.join().unwrap();
        }
        site.end();
    });
    let desk = Desk::log_in(&product, "promised@example.org", PASSWORD);
    let (taken, journal) = (callers.taken(), writers.journal());
    book::one_run_each(&desk, &product, &rule, &taken);
    book::wait_until_settled(&desk, &product);
    let published = world.published();
    book::published_once(&desk, &product, &published, &journal);
    let mut drafts: Vec<String> = book::all(&desk, &product, "posts")
        .iter()
        .map(|post| text(post, "/content/text"))
        .filter(|words| !words.starts_with("post-"))
        .collect();
    drafts.sort();
    let expected: Vec<&String> = taken.keys().collect();
    assert_eq!(
        drafts.iter().collect::<Vec<_>>(),
        expected,
        "one draft for each call"
    );
    println!(
        "acknowledged {database:?}: {kills} kills, {} events, {} posts created, {} scheduled, {} published; 0 lost, 0 doubled",
        taken.len(),
        journal.created.len(),
        journal.scheduled.len(),
        published.len()
    );
}
