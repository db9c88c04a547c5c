-- The wallet balances of an asset add up to its reserves, its encumbered wallets to the encumbered part, and its proven
-- wallets to the proven part.
with wallet_sums as (
    select
        asset,
        exact_sum(amount) as reserves,
        coalesce(exact_sum(case when encumbrance in ('pledged', 'locked') then amount end), 0::decimal(38, 0)) as encumbered,
        coalesce(
            exact_sum(case when ownership_status = 'fresh' or ownership_status = 'movement' then amount end), 0::decimal(38, 0)
        ) as proven
    from wallet_balances
    group by asset
)

select
    coalesce(ratios.asset, wallet_sums.asset) as asset,
    ratios.reserves,
    wallet_sums.reserves as wallet_sum,
    ratios.reserves_encumbered,
    wallet_sums.encumbered as encumbered_wallet_sum,
    ratios.reserves_proven,
    wallet_sums.proven as proven_wallet_sum
from reserve_ratios as ratios
full outer join wallet_sums on ratios.asset = wallet_sums.asset
where
    ratios.reserves is distinct from coalesce(wallet_sums.reserves, 0)
    or ratios.reserves_encumbered is distinct from coalesce(wallet_sums.encumbered, 0)
    or ratios.reserves_proven is distinct from coalesce(wallet_sums.proven, 0)
