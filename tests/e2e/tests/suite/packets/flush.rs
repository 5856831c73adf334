//! Rules that somebody removes are back at once; those of others are left alone.

use anyhow::{Result, ensure};
use e2e::lab::{Kind, Lab, Site, at, tcp};
use e2e::programs::eventually;

#[test]
fn a_flush_of_all_rules_lasts_a_moment_whoever_watches() -> Result<()> {
    let mut lab = Lab::start(Kind::Berth, &[])?;
    let web = lab.container("web", &["-p", "8080:80", "-p", "127.0.0.1:8081:80"])?;
    let server = web.tcp(80)?;
    let seen = format!("web {}", Site::OUTSIDE);
    for restart in [false, true] {
        if restart {
            lab.engine.berth()?.kill()?;
            lab.engine.berth()?.spawn()?;
        }
        for damage in ["flush ruleset", "delete table inet TABLE"] {
            lab.site.host.nft("add table inet theirs")?;
            let tables = lab.site.host.nft("list tables")?;
            let ours = tables
                .lines()
                .find_map(|line| line.strip_prefix("table inet ").filter(|t| t.starts_with("berth")));
            lab.site.host.nft(&damage.replace("TABLE", ours.unwrap_or_default()))?;
            eventually("the rules are back", || {
                Ok(lab.site.host.nft("list tables")?.contains("berth").then_some(()))
            })?;
            lab.sees(damage, &seen, || tcp(&lab.site.outside, at(Site::HOST, 8080)?))?;
            lab.sees("on the loopback only", "refused", || tcp(&lab.site.outside, at(Site::HOST, 8081)?))?;
            let theirs = lab.site.host.nft("list tables")?.contains("theirs");
            ensure!(theirs != damage.starts_with("flush"), "{damage}: theirs is there: {theirs}");
        }
    }
    lab.site.host.nft("delete table inet theirs")?;
    // They hold its namespace.
    drop((server, web));
    lab.finish()
}
