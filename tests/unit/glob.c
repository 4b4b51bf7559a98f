/* Patterns of CONFIG GET mean what Redis's mean, and no pattern takes long. */
#include "fs/glob.h"
#include "tests/lib/tap.h"

#include <stdlib.h>

static bool matches(const char *pattern, const char *text)
{
	return glob_match(pattern, strlen(pattern), text, strlen(text), true);
}

static void test_table(void)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{ "", "", true }, { "", "a", false }, { "*", "", true }, { "*", "save", true }, { "save", "save", true },
		{ "save", "saves", false }, { "saves", "save", false }, { "s*", "save", true }, { "*e", "save", true },
		{ "*a*", "save", true }, { "*x*", "save", false }, { "?ave", "save", true }, { "?", "", false },
		{ "s??e", "save", true }, { "SAVE", "save", true }, { "save", "SAVE", true }, { "s[a-c]ve", "save", true },
		{ "s[^a-c]ve", "save", false }, { "s[^x]ve", "save", true }, { "s[c-a]ve", "save", true }, { "s[A]ve", "save", true },
		{ "s[]ve", "save", false }, { "[s", "s", true }, { "[", "[", false }, { "\\*", "*", true }, { "\\*", "a", false },
		{ "s\\ave", "save", true }, { "a\\", "a\\", true }, { "[\\]]", "]", true }, { "[a-]", "-", true },
		{ "auto-aof-*-size", "auto-aof-rewrite-min-size", true }, { "*-*-*", "a-b", false }, { "a**b", "ab", true },
		{ "*ab", "aab", true }, { "a*a*a", "aa", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ok(matches(cases[i].pattern, cases[i].text) == cases[i].match, "\"%s\" %s \"%s\"", cases[i].pattern,
		   cases[i].match ? "matches" : "does not match", cases[i].text);
	}
	ok(!glob_match("SAVE", 4, "save", 4, false), "case counts unless it is folded");
}

/* A matcher that tries every split of every '*' would not come back from this one. */
static void test_many_stars(void)
{
	enum { STARS = 200, TEXT = 5000 };
	char *pattern = malloc(2 * STARS + 1), *text = malloc(TEXT);

	if (!ok(pattern != NULL && text != NULL, "memory"))
		return;
	for (int i = 0; i < STARS; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	pattern[2 * STARS] = 'b';
	memset(text, 'a', TEXT);
	ok(!glob_match(pattern, 2 * STARS + 1, text, TEXT, true), "200 stars against 5000 bytes: no match, and soon");
	free(pattern);
	free(text);
}

int main(void)
{
	test_table();
	test_many_stars();
	return tap_end();
}
