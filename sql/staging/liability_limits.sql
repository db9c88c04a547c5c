-- What the liabilities leave out, as rows of coverage.
with liabilities as (
    select * from inputs.liabilities
),

assets as (
    select * from inputs.assets
),

prices as (
    select * from inputs.prices
),

totals as (
    select * from liabilities_by_asset
),

negative_equity as (
    select * from negative_equity
),

negative_rows as (
    select
        'negative_accounts:' || totals.asset as item,
        'liabilities' as area,
        'info' as severity,
        totals.negative_rows as count,
        'Accounts with a negative balance hold ' || whole_units(totals.negative, assets.decimals) || ' ' || totals.asset
        || ' together; gross liabilities leave them out.' as description
    from totals
    inner join assets on totals.asset = assets.asset
    where totals.negative_rows > 0
),

negative_users as (
    select
        'negative_equity_users' as item,
        'liabilities' as area,
        'warning' as severity,
        count(*) as count,
        'Users whose total value over all assets is below zero; liabilities netted by user leave them out, and whether their '
        || 'debt can be collected is not checked.' as description
    from negative_equity
    having count(*) > 0
),

-- The largest amount worth less than a cent: amount * price units < 10^(decimals + 6).
dust_limits as (
    select
        assets.asset,
        (
            (power_of_ten(assets.decimals + 6) - 1::uhugeint) // price_units(prices.price)::uhugeint
        )::decimal(38, 0) as amount
    from assets
    inner join prices on assets.asset = prices.asset
),

dust_rows as (
    select
        'dust_accounts:' || liabilities.asset as item,
        'liabilities' as area,
        'info' as severity,
        count(*) as count,
        'Accounts with less than one cent of ' || liabilities.asset || '; they are included in all figures.' as description
    from liabilities
    inner join dust_limits on liabilities.asset = dust_limits.asset
    where liabilities.amount > 0 and liabilities.amount <= dust_limits.amount
    group by liabilities.asset
),

-- Without the zeros at the end: 1.250000000000000000 base units are 1.25.
rounded_rows as (
    select
        'rounded_up:' || totals.asset as item,
        'liabilities' as area,
        'info' as severity,
        totals.rounded_rows as count,
        'The ledger keeps ' || totals.asset || ' in more digits than its base unit of 10^-' || assets.decimals
        || '; so many accounts were rounded up, in favour of the users, which adds '
        || rtrim(rtrim(totals.rounding::varchar, '0'), '.') || ' base units to the net liabilities.' as description
    from totals
    inner join assets on totals.asset = assets.asset
    where totals.rounded_rows > 0
),

assets_without_liabilities as (
    select
        'no_liabilities:' || assets.asset as item,
        'liabilities' as area,
        'info' as severity,
        0 as count,
        'The ledger holds no row of ' || assets.asset || ', so nothing is owed and there is no ratio.' as description
    from assets
    anti join totals on assets.asset = totals.asset
)

select * from negative_rows
union all
select * from negative_users
union all
select * from dust_rows
union all
select * from rounded_rows
union all
select * from assets_without_liabilities
