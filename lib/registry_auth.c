/* SPDX-License-Identifier: MIT */
#include <config.h>

#include "registry_auth.h"

#include <string.h>
#include <strings.h>

#include "base64.h"
#include "json.h"
#include "secret.h"

/* "https://index.docker.io/v1/" is how the client calls "docker.io". */
static bool is_address_of(const char *address, const char *domain)
{
	static const char *const schemes[] = { "https://", "http://" };
	size_t len;

	for (size_t i = 0; i < KII_COUNT(schemes); i++)
		if (strncmp(address, schemes[i], strlen(schemes[i])) == 0) {
			address += strlen(schemes[i]);
			break;
		}
	len = strcspn(address, "/");
	if (strcmp(domain, "docker.io") == 0 && (len == 15 || len == 20) &&
	    (strncasecmp(address, "index.docker.io", len) == 0 ||
	     strncasecmp(address, "registry-1.docker.io", len) == 0))
		return true;
	return strlen(domain) == len && strncasecmp(address, domain, len) == 0;
}

static int no_form(const char *field, struct kii_error *err)
{
	return kii_error_field(err, field, "the secret has neither username, password and "
		"serveraddress nor the form of a config.json with \"auths\"");
}

static int put(const char *user, const char *password, const char *domain, const char *token,
	struct kii_buf *out, struct kii_error *err)
{
	kii_autojson *j = json_object();

	if (token) {
		kii_json_set_str(j, "identitytoken", token);
	} else {
		kii_json_set_str(j, "username", user);
		kii_json_set_str(j, "password", password);
	}
	kii_json_set_str(j, "serveraddress", domain);
	return kii_json_dump(j, JSON_ENSURE_ASCII, out, err);
}

/* "auth" is "user:password" in base64. */
static int put_auth(const char *auth, const char *domain, const char *field, struct kii_buf *out,
	struct kii_error *err)
{
	kii_autosecret plain = KII_BUF_INIT(KII_SECRET_MAX);
	struct kii_error why = { 0 };
	char *colon;

	if (kii_base64_decode(auth, &plain, &why) != 0 || strlen(plain.data) != plain.len ||
	    !(colon = strchr(plain.data, ':')))
		return no_form(field, err);
	*colon = '\0';
	return put(plain.data, colon + 1, domain, NULL, out, err);
}

static int from_auths(const json_t *auths, const char *domain, const char *field,
	struct kii_buf *out, struct kii_error *err)
{
	const char *address;
	const json_t *entry;

	json_object_foreach((json_t *)auths, address, entry) {
		const char *auth = kii_json_str(entry, "auth");
		const char *token = kii_json_str(entry, "identitytoken");
		const char *user = kii_json_str(entry, "username");
		const char *password = kii_json_str(entry, "password");

		if (!is_address_of(address, domain))
			continue;
		if (token && *token)
			return put(NULL, NULL, domain, token, out, err);
		if (user && password)
			return put(user, password, domain, NULL, out, err);
		return auth ? put_auth(auth, domain, field, out, err) : no_form(field, err);
	}
	return kii_error_field(err, field, "the secret has nothing for registry %s", domain);
}

int kii_registry_auth(const struct kii_buf *secret, const char *domain, const char *field,
	struct kii_buf *out, struct kii_error *err)
{
	kii_autojson *j = NULL;
	struct kii_error why = { 0 };
	const char *user, *password, *address;
	const json_t *auths;

	if (kii_json_parse(secret->data, secret->len, field, &j, &why) != 0 || !json_is_object(j))
		return no_form(field, err);
	auths = json_object_get(j, "auths");
	if (auths)
		return json_is_object(auths) ? from_auths(auths, domain, field, out, err)
			: no_form(field, err);
	user = kii_json_str(j, "username");
	password = kii_json_str(j, "password");
	address = kii_json_str(j, "serveraddress");
	if (!user || !password || !address)
		return no_form(field, err);
	if (!is_address_of(address, domain))
		return kii_error_field(err, field, "the secret has nothing for registry %s",
			domain);
	return put(user, password, domain, NULL, out, err);
}
