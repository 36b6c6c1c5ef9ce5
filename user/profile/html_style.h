/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The page's style; colours are chosen apart in lightness too, and each has a name beside it. */
#ifndef PROF_HTML_STYLE_H
#define PROF_HTML_STYLE_H

#define PROF_STYLE                                                                                                                                                                                      \
	":root{color-scheme:light dark;--bg:#fbfbfa;--fg:#1d2024;--dim:#5a616b;--line:#d8dade;--card:#fff;--link:#0a58a8;--warn:#8a4b00}"                                                               \
	"@media(prefers-color-scheme:dark){:root{--bg:#14161a;--fg:#e7e9ec;--dim:#a0a7b1;--line:#343941;--card:#1b1e23;--link:#7db7ff;--warn:#ffb869}}"                                                 \
	"*{box-sizing:border-box}"                                                                                                                                                                      \
	"body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"                                                                               \
	"main{max-width:1180px;margin:0 auto;padding:1.5rem 1rem 4rem}"                                                                                                                                 \
	"h1{font-size:1.5rem;line-height:1.25;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:0}"                                                                 \
	"p{margin:.35rem 0}.dim{color:var(--dim)}.warn{color:var(--warn)}a{color:var(--link)}"                                                                                                          \
	".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.5rem}"                                                                                     \
	".card{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.9rem 1rem;margin:0 0 1rem}"                                                                               \
	".head{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;align-items:baseline;margin-bottom:.5rem}"                                                                                                  \
	".big{font-size:1.35rem;font-weight:650;font-variant-numeric:tabular-nums}"                                                                                                                     \
	"table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"                                                                                                                  \
	"th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;vertical-align:top}"                                                                        \
	"th{font-weight:600;color:var(--dim)}th:first-child,td:first-child,.l{text-align:left}"                                                                                                         \
	"td.w{white-space:normal;min-width:15rem}"                                                                                                                                                      \
	"abbr{text-decoration:underline dotted;text-underline-offset:.2em}.scroll{overflow-x:auto}.scroll:focus{outline:2px solid var(--link)}"                                                         \
	"svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}"                                                                                                                      \
	"svg text{fill:var(--fg)}svg .t{fill:var(--dim)}svg .grid{stroke:var(--line);stroke-width:1}"                                                                                                   \
	"svg .row:focus{outline:2px solid var(--link);outline-offset:1px}"                                                                                                                              \
	".key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.5rem 0 0;list-style:none;font-size:.85rem}"                                                                                  \
	".key i{display:inline-block;width:.85em;height:.85em;border-radius:2px;margin-right:.35em;vertical-align:-.08em}"                                                                              \
	"details{margin:.5rem 0 0}summary{cursor:pointer;color:var(--link)}"                                                                                                                            \
	"ul.plain{padding-left:1.2rem;margin:.3rem 0}ul.plain li{margin:.3rem 0}dt{font-weight:600;margin-top:.5rem}dd{margin:0 0 0 1rem}"                                                              \
	".only-narrow{display:none}"                                                                                                                                                                    \
	"@media(max-width:640px){body{font-size:14px}main{padding:1rem .6rem 3rem}.card{padding:.7rem .6rem}th,td{padding:.2rem .35rem}"                                                                \
	".wide-figure{display:none}td.w{min-width:32rem}tfoot td.w{display:none}.only-narrow{display:block}}"                                                                                           \
	"@page{margin:12mm}"                                                                                                                                                                            \
	"@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--card:#fff;--link:#000}"                                                                                     \
	"body{font-size:8.5pt;line-height:1.35}main{max-width:none;padding:0}.skip{display:none}"                                                                                                       \
	".card{padding:.5rem .6rem}.head,svg,.key,tr,li{break-inside:avoid}h1,h2,h3,.head,summary,thead{break-after:avoid}h2{margin:1.1rem 0 .4rem}"                                                    \
	".scroll{overflow:visible}tfoot{display:table-row-group}table{font-size:7.5pt}th,td{padding:.12rem .3rem;white-space:normal}td.w{min-width:12rem}td[data-ns],td[data-host]{white-space:nowrap}" \
	"summary{list-style:none;font-weight:600}abbr{text-decoration:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}"                                                               \
	"@media print{details::details-content{display:block;content-visibility:visible;block-size:auto}}"

/* Light and dark: the same colours stand out on both. */
#define PROF_COLOURS                                                                   \
	{                                                                              \
		[PROF_CAUSE_STOPPED] = "#d1242f", [PROF_CAUSE_PREEMPTED] = "#f0883e",  \
		[PROF_CAUSE_RUNQUEUE] = "#dbab09", [PROF_CAUSE_INTERRUPT] = "#bf3989", \
		[PROF_CAUSE_GROUP] = "#57606a", [PROF_CAUSE_DISK] = "#9a6700",         \
		[PROF_CAUSE_LOCK] = "#c69026", [PROF_CAUSE_WORKER] = "#116329",        \
		[PROF_CAUSE_JOURNAL] = "#a475f9", [PROF_CAUSE_HOOK] = "#6e40c9",       \
		[PROF_CAUSE_DEVICE] = "#2f81f7", [PROF_CAUSE_REAP] = "#79c0ff",        \
		[PROF_CAUSE_QUEUE] = "#ff8182", [PROF_CAUSE_ENGINE] = "#2da44e",       \
		[PROF_CAUSE_NETWORK] = "#1b9e9e", [PROF_CAUSE_WAIT] = "#8c959f",       \
		[PROF_CAUSE_REST] = "#57ab5a", [PROF_CAUSE_UNSEEN] = "#b6bcc4",        \
	}

#endif
