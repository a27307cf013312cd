//! What is shown, in the order in which it is. A scenario is a function of one of the modules.

mod agreement;
mod certificates;
mod continuity;
mod crds;
mod drain;
mod injection;
mod installation;
mod outage;
mod ovn;
mod pools;
mod rights;
mod rolling;
mod scheduling;
mod table;
mod verdict;

use crate::runner::Scenario;

macro_rules! scenarios {
    ($($module:ident::$play:ident $(needs $program:literal)?,)*) => {
        &[$(Scenario {
            name: concat!(stringify!($module), "::", stringify!($play)),
            needs: [$($program,)?].first().copied(),
            play: $module::$play,
        },)*]
    };
}

/// All of it.
pub(crate) const ALL: &[Scenario] = scenarios![
    injection::a_bridge_bound_vm_is_annotated_however_it_is_applied,
    injection::every_kind_that_vmis_come_from_is_annotated,
    injection::what_is_not_bridge_bound_or_opts_out_is_left_alone,
    injection::warnings_reach_kubectl,
    injection::an_update_annotates_only_with_a_change_of_the_template,
    injection::calls_that_would_change_nothing_are_not_made,
    injection::without_berth_a_vm_is_stored_as_it_is,
    pools::a_pool_older_than_berth_keeps_its_vms_until_its_template_changes needs "virt-controller",
    table::the_webhook_is_asked_as_the_table_says,
    table::the_policy_patches_as_the_table_says,
    verdict::a_migration_without_a_target_is_warned_about_or_refused needs "virt-controller",
    scheduling::a_target_lands_on_a_right_node_and_never_on_a_wrong_one,
    scheduling::a_pod_that_fits_nowhere_says_why_and_the_same_every_time,
    scheduling::a_rejected_pod_is_scheduled_soon_after_its_obstacle_goes,
    scheduling::scores_move_the_choice_between_two_equal_nodes,
    scheduling::nobody_is_evicted_where_the_guard_rejects,
    scheduling::a_vmi_that_no_watch_has_brought_is_read,
    agreement::a_check_names_the_nodes_that_migrations_are_placed_on needs "virt-controller",
    drain::a_drain_does_to_every_vm_what_its_plan_says needs "virt-controller",
    ovn::a_pod_that_fits_nowhere_is_scheduled_soon_after_a_chassis_returns,
    ovn::targets_land_where_their_network_is_local,
    continuity::a_target_is_bound_once_its_network_is_prepared_and_also_without_berth,
    continuity::a_bind_that_waits_holds_up_no_other_pod_and_a_slow_or_failing_berth_no_vm,
    continuity::filter_scores_and_preemption_go_on_where_berth_binds,
    certificates::both_callers_trust_what_two_replicas_made,
    certificates::what_others_spoil_is_repaired,
    installation::what_berth_needs_is_told_by_a_real_api_server,
    installation::an_installation_is_checked_but_for_what_a_kubelet_answers,
    rights::the_rights_of_the_manifests_suffice,
    rights::every_right_of_the_manifests_is_needed,
    rights::a_stolen_token_changes_no_more_than_berth_does,
    rolling::a_rolling_restart_under_load_is_not_noticed,
    outage::berth_answers_while_the_api_server_is_away_and_catches_up,
    crds::kubevirt_may_come_after_berth_and_go_before_it,
];
