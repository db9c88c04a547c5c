with moments as (
    select * from moments
),

assets as (
    select * from inputs.assets
),

previous_ratios as (
    select * from inputs.previous_reserve_ratios
),

totals as (
    select
        assets.asset,
        assets.decimals,
        coalesce(reserves.reserves, 0::decimal(38, 0)) as reserves,
        coalesce(reserves.encumbered, 0::decimal(38, 0)) as encumbered,
        coalesce(reserves.proven, 0::decimal(38, 0)) as proven,
        coalesce(liabilities.gross, 0::decimal(38, 0)) as gross,
        coalesce(liabilities.net, 0::decimal(38, 0)) as net,
        coalesce(liabilities.netted_by_user, 0::decimal(38, 0)) as netted_by_user
    from assets
    left join reserves_by_asset as reserves on assets.asset = reserves.asset
    left join liabilities_by_asset as liabilities on assets.asset = liabilities.asset
)

select
    moments.as_of,
    totals.asset,
    totals.decimals,
    totals.reserves,
    totals.encumbered as reserves_encumbered,
    totals.proven as reserves_proven,
    totals.gross as liabilities_gross,
    totals.net as liabilities_net,
    totals.netted_by_user as liabilities_netted_by_user,
    totals.reserves - totals.gross as surplus,
    floor_ratio(totals.reserves, totals.gross) as ratio_gross,
    floor_ratio(totals.reserves, totals.net) as ratio_net,
    floor_ratio(totals.reserves, totals.netted_by_user) as ratio_netted_by_user,
    floor_ratio(totals.reserves - totals.encumbered, totals.gross) as ratio_unencumbered,
    floor_ratio(totals.proven, totals.gross) as ratio_proven,
    totals.reserves >= totals.gross as fully_backed,
    case
        when totals.gross = 0 then 'no_liabilities'
        when totals.reserves >= totals.gross then 'covered'
        else 'short'
    end as status,
    moments.previous_as_of,
    previous_ratios.ratio_gross as previous_ratio_gross
from totals
cross join moments
left join previous_ratios on totals.asset = previous_ratios.asset
