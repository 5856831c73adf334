//! The museum: every kind of hole by which container engines have been left, planted again, and the host unchanged.
//!
//! [`HALLS`] is its catalogue; a test sees to it that each entry names a test that exists. Where a version that Debian
//! 12 installs falls for an attack, the same attack is made on it, so that it is seen to be one (`control`); what such
//! an engine does is printed. Attacks on others stay within roots, namespaces and files of their own.

mod archives;
mod escapes;
mod library;
mod memory;
mod mounts;
mod network;
mod swaps;
mod users;

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Holes, and the tests that plant them: a file below `tests/suite` (or of a crate's), and functions in it.
const HALLS: &[(&str, &str, &[&str])] = &[
    (
        "CVE-2026-41567, CVE-2014-9357: a decompressor of the container's, run by the engine",
        "museum/swaps.rs",
        &["decompressors_of_the_container_never_run"],
    ),
    (
        "CVE-2026-41568, CVE-2026-42306, CVE-2018-15664: a link swapped between look and use, by cp",
        "museum/swaps.rs",
        &["ten_thousand_copies_under_a_container_that_swaps_links"],
    ),
    (
        "CVE-2025-52881, CVE-2018-15664: a link swapped between look and use, by a mount",
        "museum/mounts.rs",
        &["mounts_into_a_volume_whose_owner_swaps_links"],
    ),
    (
        "the same, by the runtime alone",
        "/runtime/tests/suite/hostile.rs",
        &["a_mount_target_that_is_swapped_all_the_time"],
    ),
    (
        "CVE-2026-17106 and zip-slip: archives that want out, by load, import, cp and ADD",
        "museum/archives.rs",
        &["archives_that_want_out_by_every_way_in"],
    ),
    ("the same, by pull", "registry/faults/layers.rs", &["archives_that_want_out"]),
    (
        "CVE-2025-31133, CVE-2025-52565, CVE-2026-41579: links in the place of system directories",
        "museum/escapes.rs",
        &["links_in_place_of_system_directories"],
    ),
    (
        "the same, by the runtime alone",
        "/runtime/tests/suite/hostile.rs",
        &[
            "a_false_null_device_masks_nothing_else",
            "a_link_where_the_console_goes",
            "symlinks_where_proc_and_sys_go",
        ],
    ),
    ("CVE-2019-5736: the runtime overwritten", "museum/escapes.rs", &["the_runtime_cannot_be_overwritten"]),
    (
        "CVE-2024-21626: a leaked descriptor as the working directory",
        "museum/escapes.rs",
        &["a_descriptor_is_no_working_directory", "only_the_standard_descriptors_are_inherited"],
    ),
    (
        "CVE-2019-14271: a library of the container's, loaded by the engine",
        "museum/library.rs",
        &["programs_load_nothing", "users_are_looked_up_without_the_containers_libraries"],
    ),
    (
        "CVE-2020-15257: a shim on an abstract socket",
        "museum/escapes.rs",
        &["shims_are_on_no_abstract_socket"],
    ),
    (
        "CVE-2021-41091, CVE-2021-41089: a data root that others walk through",
        "museum/escapes.rs",
        &["state_directories_are_closed"],
    ),
    (
        "CVE-2024-41110, CVE-2026-34040: a body that no plugin sees",
        "authz/bodies.rs",
        &["every_body_is_seen_or_its_request_refused"],
    ),
    (
        "CVE-2021-41190, CVE-2024-3727: a manifest of two kinds, a malformed digest, a size that does not fit",
        "registry/faults/documents.rs",
        &["manifests_of_the_wrong_shape", "manifests_that_promise_what_is_not_there"],
    ),
    (
        "CVE-2025-58183: a sparse file's map without bounds",
        "museum/memory.rs",
        &["a_map_of_a_sparse_file_is_bounded"],
    ),
    ("CVE-2026-47262: /etc/group of a gigabyte", "museum/memory.rs", &["a_gigabyte_of_groups_is_bounded"]),
    ("deep JSON", "museum/memory.rs", &["deep_json_is_bounded"]),
    ("CVE-2022-0492: release_agent", "museum/users.rs", &["a_release_agent_cannot_be_set"]),
    ("CVE-2022-24769: inheritable capabilities", "museum/users.rs", &["nothing_is_inheritable"]),
    ("CVE-2022-36109: supplementary groups", "museum/users.rs", &["groups_are_the_users_own"]),
    (
        "CVE-2024-40635, CVE-2026-46680: a user's number that overflows, or is looked up as a name",
        "museum/users.rs",
        &["a_number_beyond_all_users_is_refused", "a_number_is_no_name"],
    ),
    (
        "CVE-2020-15157: credentials to somebody else",
        "registry/reach/foreign.rs",
        &["foreign_layers_are_fetched_from_elsewhere_and_stay_there"],
    ),
    (
        "the same, by a redirect",
        "registry/faults/credentials.rs",
        &["redirects_take_no_credentials_along", "uploads_elsewhere_take_no_credentials_along"],
    ),
    (
        "CVE-2024-23651, CVE-2024-23652, CVE-2024-23653: places of a build's mounts",
        "build/hostile.rs",
        &["mounts_reach_nothing_outside", "places_of_mounts_do_not_stay", "copies_reach_nothing_outside"],
    ),
    (
        "CVE-2025-54388: a port of the loopback, reached by a neighbour",
        "packets/ports.rs",
        &["loopback_only"],
    ),
    (
        "moby#45610: the same after the rules were flushed and restored",
        "museum/network.rs",
        &["a_port_of_the_loopback_after_a_flush_and_a_restore"],
    ),
    (
        "CVE-2024-29018: a question that leaves an internal network",
        "museum/network.rs",
        &["no_question_leaves_an_internal_network"],
    ),
    (
        "CVE-2025-9074: an Engine API that containers reach",
        "museum/network.rs",
        &["no_engine_listens_where_a_container_reaches"],
    ),
    (
        "CVE-2023-2253: a page of the catalog without bounds",
        "/registry/tests/conformance/content_discovery.rs",
        &["CVE-2023-2253"],
    ),
];

#[test]
fn the_catalogue_names_tests_that_exist() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (hole, file, tests) in HALLS {
        let path = match file.strip_prefix('/') {
            Some(of_a_crate) => here.join("../../crates").join(of_a_crate),
            None => here.join("tests/suite").join(file),
        };
        let text = std::fs::read_to_string(&path).with_context(|| format!("{hole}: {}", path.display()))?;
        for test in *tests {
            ensure!(text.contains(test), "{hole}: {test} is not in {}", path.display());
        }
    }
    Ok(())
}

/// Says what another engine did; a control is only seen to work by what it prints.
#[expect(clippy::print_stderr, reason = "shown by the test runner with --show-output")]
fn control(engine: &str, fell: bool, what: &str) {
    let how = if fell { "falls for it" } else { "does not fall for it" };
    eprintln!("CONTROL: {engine} {how}: {what}");
}
