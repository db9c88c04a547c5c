-- What cannot be said about the time since the previous publication, as rows of coverage.
with moments as (
    select * from moments
),

previous_ratios as (
    select * from inputs.previous_reserve_ratios
),

ratios as (
    select * from reserve_ratios
),

deltas as (
    select * from reserve_deltas
),

reconciliation as (
    select * from reconciliation
),

first_publication as (
    select
        'first_publication' as item,
        'liabilities' as area,
        'info' as severity,
        null as count,
        'There is no previous publication of this series, so nothing is compared and no flow is reconciled.' as description
    from moments
    where previous_as_of is null
),

new_assets as (
    select
        'new_asset:' || ratios.asset as item,
        'liabilities' as area,
        'info' as severity,
        null as count,
        'The previous publication had no ' || ratios.asset || ', so it is not compared and its flows are not reconciled.'
            as description
    from ratios
    anti join previous_ratios on ratios.asset = previous_ratios.asset
    where ratios.previous_as_of is not null
),

dropped_assets as (
    select
        'dropped_asset:' || previous_ratios.asset as item,
        'liabilities' as area,
        'warning' as severity,
        null as count,
        'The previous publication had ' || previous_ratios.asset || ' with gross liabilities of '
        || whole_units(previous_ratios.liabilities_gross, previous_ratios.decimals) || '; this one does not cover it.'
            as description
    from previous_ratios
    anti join ratios on previous_ratios.asset = ratios.asset
),

dropped_reserves as (
    select
        'no_longer_read:' || asset || ':' || chain as item,
        'reserves' as area,
        'warning' as severity,
        null as count,
        'The previous publication held ' || whole_units(previous_amount, decimals) || ' ' || asset || ' on ' || chain
        || ', which is no longer read.' as description
    from deltas
    where current_amount is null
),

unexplained_changes as (
    select
        'unexplained:' || asset as item,
        'liabilities' as area,
        'warning' as severity,
        null as count,
        'Net liabilities differ by ' || whole_units(unexplained, decimals) || ' ' || asset
        || ' from what the recorded flows explain.' as description
    from reconciliation
    where unexplained <> 0
)

select * from first_publication
union all
select * from new_assets
union all
select * from dropped_assets
union all
select * from dropped_reserves
union all
select * from unexplained_changes
