//! The primary dies and its standby takes over; lines fall silent; servers refuse writes and end connections.

use std::time::{Duration, Instant};

use so_testkit::{counterpart::or_skip, postgres::PostgresCluster, product::wait_for};

use crate::{
    book,
    desk::{Desk, PASSWORD},
    ground::Ground,
    load::{Callers, Site},
    outage::{goes_on, telling},
    proxy::Proxy,
};

/// Senders side by side.
const SENDERS: usize = 4;
/// Something that takes seconds; a machine with all cores taken needs far more.
const PROGRESS: Duration = Duration::from_secs(240);
/// Ends every connection of the product, as an administrator or a switch-over does (57P01).
const END_ALL: &str = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'social-orchestrator'";

pub fn run(ground: &Ground, times: usize) {
    let Some(cluster) = or_skip("failover", PostgresCluster::start()) else {
        return;
    };
    let world = ground.world();
    let direct = cluster.create_fresh_database().unwrap();
    cluster.begin_standby().unwrap();
    let proxy = ground
        .runtime()
        .block_on(Proxy::start(cluster.primary_port()));
    let url = direct.replace(&format!(":{}/", cluster.port), &format!(":{}/", proxy.port));
    let mut product = world.product(Some(&url));
    product.start_again();
    let desk = Desk::register(&product, "failover");
    let rule = desk.rule(&product, &telling(&world.sink));
    let site = Site::at(&product);
    let callers = Callers::new(&site, desk.hook(&product));
    let taken_again = |since: usize| {
        wait_for("writes to be taken", PROGRESS, || {
            (callers.count() > since).then_some(())
        });
    };
    std::thread::scope(|scope| {
        let _end = site.ending();
        for _ in 0..SENDERS {
            scope.spawn(|| callers.run(|_| ()));
        }
        for time in 1..=times {
            goes_on(&world.sink);
            cluster.crash_all().unwrap();
            let port = cluster.promote().unwrap();
            proxy.lead_to(port);
            let (began, since) = (Instant::now(), callers.count());
            taken_again(since);
            println!(
                "failover {time}: writes taken after {:.1} s",
                began.elapsed().as_secs_f64()
            );
            goes_on(&world.sink);

            proxy.fall_silent();
            // Answers that were on their way still count.
            let (began, since) = (Instant::now(), callers.count() + SENDERS);
            taken_again(since);
            println!(
                "silent line {time}: writes taken after {:.1} s",
                began.elapsed().as_secs_f64()
            );
            goes_on(&world.sink);

            cluster.run(END_ALL).unwrap();
            goes_on(&world.sink);
            refuse_writes(&cluster, &callers, &format!("refused-{time}"));
            goes_on(&world.sink);
            cluster.begin_standby().unwrap();
        }
        site.end();
    });
    let desk = Desk::log_in(&product, "failover@example.org", PASSWORD);
    let taken = callers.taken();
    book::received_once(&world.sink, &taken);
    book::one_run_each(&desk, &product, &rule, &taken);
    println!(
        "failover: {times} times, {} calls; 0 lost, 0 doubled",
        taken.len()
    );
}

/// As a cloud's database does when its disk is full (25006); connections made meanwhile are no good later.
fn refuse_writes(cluster: &PostgresCluster, callers: &Callers<'_>, name: &str) {
    let set = |statement: &str| {
        cluster.run(statement).unwrap();
        cluster.run("select pg_reload_conf()").unwrap();
    };
    set("alter system set default_transaction_read_only = on");
    let mut tries = 0;
    let refused = wait_for("writes to be refused", PROGRESS, || {
        tries += 1;
        let key = format!("{name}-{tries}");
        callers.attempt(&key).is_none().then_some(key)
    });
    set("alter system reset default_transaction_read_only");
    callers.deliver(&refused);
}
