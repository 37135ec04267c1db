//! A store of three members, some of which do not answer, and one whose certificate does not hold.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::rig::{
    etcd::Etcd,
    fleet::{Fleet, hears, line_of, lines},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_members_one_may_hang_and_one_that_has_lost_the_others_is_no_store() {
    let members = Etcd::three().await;
    let mut fleet = Fleet::with_members(members, 2, json!({"max_silence": "2s"})).await;
    fleet.all_hear().await;

    // Whichever member an Envoy speaks with: each hangs for a while, and the others go on.
    for member in 0..3 {
        let token = format!("while-{member}-hangs");
        fleet.remember(&token).await;
        hang(&fleet, member);
        fleet.end(&token);
        fleet.revoke(0, json!({"token": token})).await;
        fleet.all_refuse(&token).await;
        go_on(&fleet, member);
        fleet.all_hear().await;
    }

    // One is left: it answers, and knows of no leader.
    fleet.remember("alone").await;
    fleet.end("alone");
    hang(&fleet, 1);
    hang(&fleet, 2);
    fleet.revoke(0, json!({"token": "alone"})).await;
    for envoy in &fleet.envoys {
        hears(envoy, 0).await;
        line_of(envoy, "was silent for 2s: no verdict serves for longer").await;
    }
    fleet.all_refuse("alone").await;
    go_on(&fleet, 1);
    go_on(&fleet, 2);
    fleet.all_hear().await;

    // One that is gone for good.
    fleet.others[1].kill();
    fleet.remember("two-are-left").await;
    fleet.end("two-are-left");
    let start = Instant::now();
    fleet.revoke(1, json!({"token": "two-are-left"})).await;
    fleet.all_refuse("two-are-left").await;
    println!("with two members of three: refused everywhere after {:?}", start.elapsed());
}

fn hang(fleet: &Fleet, member: usize) {
    process_of(fleet, member).process().stop();
}

fn go_on(fleet: &Fleet, member: usize) {
    process_of(fleet, member).process().go_on();
}

fn process_of(fleet: &Fleet, member: usize) -> &Etcd {
    match member {
        0 => &fleet.etcd,
        other => &fleet.others[other - 1],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_whose_certificate_has_expired_is_not_heard_until_it_has_another() {
    let etcd = Etcd::secured("tls.cert.pem").await;
    let mut fleet = Fleet::with(etcd, 2, json!({"max_silence": "2s"})).await;
    fleet.all_hear().await;
    fleet.remember("token").await;

    fleet.etcd.kill();
    fleet.etcd.certificate = Some("expired.cert.pem");
    fleet.etcd.start_again().await;
    fleet.end("token");
    fleet.revoke(0, json!({"token": "token"})).await;
    for envoy in &fleet.envoys {
        line_of(envoy, "was silent for 2s: no verdict serves for longer").await;
        hears(envoy, 0).await;
    }
    fleet.all_refuse("token").await;
    // As often as it is tried.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for envoy in &fleet.envoys {
        assert_eq!(lines(envoy).len(), 3, "heard, lost, silent: {:?}", lines(envoy));
        let failed = envoy.stats("^cluster.etcd.ssl.fail_verify_error$").await;
        assert!(failed.values().any(|count| *count > 0), "{failed:?}");
    }

    fleet.etcd.kill();
    fleet.etcd.certificate = Some("tls.cert.pem");
    fleet.etcd.start_again().await;
    fleet.all_hear().await;
    for envoy in &fleet.envoys {
        assert_eq!(lines(envoy).len(), 4, "and heard again: {:?}", lines(envoy));
    }
}
