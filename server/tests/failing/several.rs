//! Three servers on one PostgreSQL: what is due happens once, whichever of them dies or is asked to end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use so_testkit::product::{Product, STOP_TIMEOUT, wait_for};

use crate::{
    book,
    desk::{Desk, PASSWORD, text},
    ground::{Ground, World},
    load::{Site, Writers},
};

const SERVERS: usize = 3;
/// Writers side by side.
const WRITERS: usize = 6;
/// Posts that are under way when a server is asked to end.
const ENDING: usize = 40;
/// The first of many posts is due after so long, when most of them are stored.
const LEAD_SECONDS: i64 = 8;
/// Between two kills something is published, if anything is left.
const PROGRESS: Duration = Duration::from_secs(240);

pub fn run(ground: &Ground, timers: usize, kills: usize) {
    let Some(url) = ground.database("several") else {
        return;
    };
    let world = ground.world_for(timers + ENDING);
    let mut servers: Vec<Product> = (0..SERVERS)
        .map(|_| {
            let mut server = world.product(Some(&url));
            server.start_again();
            server
        })
        .collect();
    let desk = Desk::register(&servers[0], "several");
    let accounts = world.connect(&desk, &servers[0]);
    let site = Site::at(&servers[0]);
    let writers = Writers::new(&site, "several", accounts);

    write(&writers, "ending", ENDING, 0);
    end_amid_work(&world, &mut servers);
    site.moved(&servers[0]);
    all_once(&world, &servers[0], &writers);
    no_doubt(&servers[0]);

    let done = world.published().len();
    write(&writers, "due", timers, LEAD_SECONDS);
    kill_amid_work(&world, &mut servers, done, timers, kills);
    all_once(&world, &servers[0], &writers);
    println!(
        "several: {SERVERS} servers, {timers} timers, {kills} kills; each fired and was published once"
    );
}

/// Everything that is written is taken: the server written to is alive.
fn write(writers: &Writers<'_>, name: &str, count: usize, lead: i64) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in (writer..count).step_by(WRITERS) {
                    writers.write(&format!("{name}-{number}"), lead).unwrap();
                }
            });
        }
    });
}

/// Each server in turn is asked to end while posts go out.
fn end_amid_work(world: &World, servers: &mut [Product]) {
    for server in servers {
        let (status, took) = server.terminate();
        assert!(status.success(), "it ended with {status}");
        assert!(took < STOP_TIMEOUT, "it took {took:?}");
        server.start_again();
    }
    wait_for("every post to go out", book::SETTLED, || {
        (world.published().len() >= ENDING).then_some(())
    });
}

/// Kills one server after the other while timers fire and posts go out.
fn kill_amid_work(
    world: &World,
    servers: &mut [Product],
    done: usize,
    timers: usize,
    kills: usize,
) {
    let published = || world.published().len() - done;
    // The first kill comes with the first post: most timers fire just then.
    let mut wanted = 1;
    for kill in 0..kills {
        wait_for("posts to go out", PROGRESS, || {
            (published() >= wanted.min(timers)).then_some(())
        });
        // What the killed one holds waits for its lease: the next kill must not wait for all.
        wanted = published() + (timers / kills.max(1) / 2).max(1);
        wanted = wanted.min(timers * 3 / 4);
        let server = &mut servers[kill % SERVERS];
        server.kill();
        server.start_again();
    }
}

/// One event for each due post, one post at the network for each that was written.
fn all_once(world: &World, server: &Product, writers: &Writers<'_>) {
    let desk = Desk::log_in(server, "several@example.org", PASSWORD);
    book::wait_until_settled(&desk, server);
    let published = world.published();
    let journal = writers.journal();
    book::published_once(&desk, server, &published, &journal);
    assert_eq!(published.len(), journal.scheduled.len());
    let mut fired: BTreeMap<String, usize> = BTreeMap::new();
    for event in book::all(&desk, server, "events?kind=post.due") {
        *fired.entry(text(&event, "/subject")).or_default() += 1;
    }
    let scheduled: BTreeSet<&String> = journal.scheduled.iter().collect();
    assert_eq!(
        fired.keys().collect::<BTreeSet<_>>(),
        scheduled,
        "each fired"
    );
    assert!(fired.values().all(|count| *count == 1), "none fired twice");
}

/// Ending in good order left no publication in doubt.
fn no_doubt(server: &Product) {
    let desk = Desk::log_in(server, "several@example.org", PASSWORD);
    for post in book::all(&desk, server, "posts") {
        let detail = desk.get(server, &format!("posts/{}", text(&post, "/id")));
        let log = detail["publications"][0]["log"].as_array().unwrap();
        let doubt = |change: &&Value| change["to"] == "unknown";
        assert!(log.iter().find(doubt).is_none(), "{log:#?}");
    }
}
