-- The sum tree commits to every asset's gross liabilities, to the unit, under one root.
with roots as (
    select count(*) as number
    from (
        select distinct
            leaf_count,
            root_hash,
            commitment,
            format
        from liability_commitment
    ) as distinct_roots
)

select
    coalesce(ratios.asset, tree.asset) as asset,
    ratios.liabilities_gross,
    tree.total,
    ratios.decimals,
    tree.decimals as tree_decimals,
    tree.commitment,
    roots.number as roots
from reserve_ratios as ratios
full outer join liability_commitment as tree on ratios.asset = tree.asset
cross join roots
where
    ratios.liabilities_gross is distinct from tree.total
    or ratios.decimals is distinct from tree.decimals
    or roots.number <> 1
