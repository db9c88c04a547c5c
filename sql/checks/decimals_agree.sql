-- An asset counts in the same base units in every table of this and the previous publication.
with stated as (
    select distinct
        'wallet_balances' as table_name,
        asset,
        decimals
    from inputs.wallet_balances
    union all
    select distinct
        'liabilities' as table_name,
        asset,
        decimals
    from inputs.liabilities
    union all
    select distinct
        'previous reserve_ratios' as table_name,
        asset,
        decimals
    from inputs.previous_reserve_ratios
    union all
    select distinct
        'previous wallet_balances' as table_name,
        asset,
        decimals
    from inputs.previous_wallet_balances
)

select
    stated.table_name,
    stated.asset,
    stated.decimals,
    assets.decimals as registry_decimals
from stated
inner join inputs.assets as assets on stated.asset = assets.asset
where stated.decimals is distinct from assets.decimals
