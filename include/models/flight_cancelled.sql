-- One row per scheduled flight, with the weather at its airport in the hour it is due to leave. A flight that never
-- left was cancelled.
select
    f.time_hour + to_minutes(f.minute) as departure,
    f.carrier,
    f.flight,
    f.origin,
    f.dest,
    f.distance,
    f.hour,
    f.minute,
    isodow(make_date(f.year, f.month, f.day)) as weekday,
    w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.precip, w.pressure, w.visib,
    (f.dep_time is null)::int as cancelled
from flights as f
left join weather as w on w.origin = f.origin and w.time_hour = f.time_hour
where f.time_hour + to_minutes(f.minute) >= :start
  and f.time_hour + to_minutes(f.minute) < :end
